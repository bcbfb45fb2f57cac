// The microphone and the speaker that the user has chosen, kept by this browser for all accounts.

const KEPT = 'registrar-phone-device-';
const KINDS = { microphone: 'audioinput', speaker: 'audiooutput' };
const BY_SYSTEM = ['', 'default', 'communications']; // ids that name what the system has chosen

// The id of the chosen device; empty for what the system has chosen.
export function chosen(what) {
  return localStorage.getItem(KEPT + what) ?? '';
}

// The two lists on the page. `changed(what)` is called after a choice.
export class DeviceMenu {
  #selects;

  constructor(changed) {
    const entries = Object.keys(KINDS).map((what) => [what, document.querySelector(`#sound select[name=${what}]`)]);
    this.#selects = Object.fromEntries(entries);
    for (const [what, select] of entries) {
      select.addEventListener('change', () => {
        localStorage.setItem(KEPT + what, select.value);
        changed(what);
      });
      select.addEventListener('pointerdown', () => this.refresh());
    }
    const { speaker } = this.#selects;
    speaker.closest('label').hidden = !('setSinkId' in HTMLMediaElement.prototype);
    navigator.mediaDevices?.addEventListener('devicechange', () => this.refresh());
    this.refresh();
  }

  // Names are known once the microphone was allowed: show them from then on.
  async refresh() {
    const devices = (await navigator.mediaDevices?.enumerateDevices().catch(() => [])) ?? [];
    for (const [what, kind] of Object.entries(KINDS)) {
      const known = devices.filter((device) => device.kind === kind && !BY_SYSTEM.includes(device.deviceId));
      fill(this.#selects[what], known, chosen(what));
    }
  }
}

// A list that is as it was is left alone: it may be open.
function fill(select, devices, wanted) {
  const options = [['', 'What the system has chosen'], ...devices.map(({ deviceId, label }) => [deviceId, label])];
  if (wanted && !options.some(([id]) => id === wanted)) options.push([wanted, 'The chosen one, which is not there']);
  const shown = JSON.stringify(options);
  if (select.dataset.shown === shown) return;
  select.dataset.shown = shown;
  select.replaceChildren(...options.map(([id, label]) => new Option(label, id)));
  select.value = wanted;
}
