// Notifications of the system: who calls, while the page is hidden. The browser asks for leave on a click alone.

const CAN = 'Notification' in window;

export class Notices {
  #shown = new Map(); // call: its notification
  #part = document.querySelector('#notices');
  #button = document.querySelector('#notify');

  constructor() {
    this.#button.addEventListener('click', async () => {
      await Notification.requestPermission();
      this.#showPermission();
    });
    addEventListener('visibilitychange', () => document.hidden || this.#closeAll());
    this.#showPermission();
  }

  // Follow the calls: one that comes in is told, and taken back when it does not ring any more.
  follow(calls) {
    for (const [call, notice] of this.#shown) {
      if (!calls.includes(call) || call.state.state !== 'incoming') this.#close(call, notice);
    }
    if (!CAN || !document.hidden || Notification.permission !== 'granted') return;
    const fresh = calls.filter((call) => call.state.state === 'incoming' && !this.#shown.has(call));
    fresh.forEach((call) => this.#tell(call));
  }

  #tell(call) {
    const { name, number } = call.state;
    const notice = new Notification(`${name || number || 'An unknown caller'} calls`, {
      body: name ? number : '',
      requireInteraction: true,
    });
    notice.addEventListener('click', () => window.focus());
    this.#shown.set(call, notice);
  }

  #close(call, notice) {
    notice.close();
    this.#shown.delete(call);
  }

  #closeAll() {
    this.#shown.forEach((notice, call) => this.#close(call, notice));
  }

  #showPermission() {
    const permission = CAN ? Notification.permission : 'denied';
    this.#part.dataset.permission = permission;
    this.#button.hidden = permission !== 'default';
    this.#part.querySelector('.words').textContent = {
      default: 'The browser can tell of calls while this page is hidden.',
      granted: 'The browser tells of calls while this page is hidden.',
      denied: 'The browser does not let this page tell of calls. Its settings for this site may allow it.',
    }[permission];
  }
}
