"""Each module of the SIP side has a test file of its name, or stands here with the place that tests it."""

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent
CONTRACT: Final = "tests/contract/"
WIRE: Final = "tests/wire/"
ELSEWHERE: Final = {
    # the program as a whole: it is started, asked and killed
    "__main__": WIRE + "test_run.py",
    "app": WIRE + "test_run.py",
    "capacity": WIRE + "test_limits.py",
    "jobs": WIRE + "test_health.py",
    "listeners": WIRE + "test_run.py",
    "commands/serve": WIRE + "test_run.py",
    "commands/division": WIRE + "test_workers.py",
    "commands/sip_settings": WIRE + "test_run.py",
    "commands/supervisor": WIRE + "test_workers.py",
    "commands/keys": WIRE + "test_key_rotation.py",
    "commands/key_watch": WIRE + "test_key_rotation.py",
    "transport/node_links": WIRE + "test_nodes_tls.py",
    "transport/node_tls": "tests/registrar/store/test_node_certificate.py",
    "commands/side": WIRE + "test_run.py",
    "commands/first_steps": WIRE + "test_run.py",
    "commands/country_file": WIRE + "test_commands.py",
    "commands/doctor": WIRE + "test_doctor.py",
    "commands/doctor_phones": WIRE + "test_doctor.py",
    "commands/doctor_stores": WIRE + "test_doctor.py",
    "doctor/machine": WIRE + "test_doctor.py",
    # values and interfaces, which every test of a rule or handler uses
    "errors": "tests/registrar/sip/test_message.py",
    "metrics": "tests/test_metrics.py",
    "model": "tests/registrar/rules/test_register.py",
    "ports": CONTRACT + "test_location.py",
    "handlers/answers": "tests/registrar/handlers/test_checks.py",
    "handlers/building": "tests/registrar/handlers/world.py",
    "handlers/admission": "tests/registrar/handlers/registration/test_register.py",
    "handlers/method": "tests/registrar/handlers/test_methods.py",
    "handlers/network": "tests/registrar/test_driver.py",
    "transaction/actions": "tests/registrar/transaction/test_layer.py",
    "transaction/state": "tests/registrar/transaction/test_layer.py",
    "transaction/timers": "tests/registrar/transaction/test_layer.py",
    # parts of a handler, tested through it
    "rules/hosts": "tests/registrar/handlers/registration/test_register.py",
    "handlers/calls/backlog": "tests/registrar/handlers/calls/test_forwarding.py",
    "handlers/events/line": "tests/registrar/handlers/events/test_watching.py",
    "handlers/calls/rewriter": "tests/registrar/handlers/calls/test_forwarding.py",
    "handlers/calls/late_answers": "tests/registrar/handlers/calls/test_forwarding.py",
    "handlers/dispatch": "tests/registrar/handlers/registration/test_register.py",
    "handlers/calls/new_dialog": "tests/registrar/handlers/calls/test_calling.py",
    "handlers/calls/pickup": WIRE + "test_features.py",
    "handlers/turns": "tests/registrar/handlers/registration/test_register.py",
    # implementations of a port: one suite over all of them, on real servers
    "store/calls_memory": CONTRACT + "test_calls.py",
    "store/calls_redis": CONTRACT + "test_calls.py",
    "store/callee_sql": CONTRACT + "test_callees.py",
    "store/deeds_memory": "tests/registrar/handlers/calls/test_switches.py",
    "store/deeds_sql": CONTRACT + "test_deeds.py",
    "store/directory_cache": CONTRACT + "test_phones.py",
    "store/directory_sql": CONTRACT + "test_phones.py",
    "store/change_follower": CONTRACT + "test_changes.py",
    "store/changes_sql": CONTRACT + "test_changes.py",
    "store/history_codec": CONTRACT + "test_history.py",
    "store/history_memory": CONTRACT + "test_history.py",
    "store/history_none": "tests/registrar/handlers/calls/test_history.py",
    "store/history_sql": CONTRACT + "test_history.py",
    "commands/bans": WIRE + "test_bans.py",
    "store/ban_keeper": CONTRACT + "test_bans.py",
    "store/bans_redis": CONTRACT + "test_bans.py",
    "store/limits_redis": CONTRACT + "test_bans.py",
    "store/guesses_memory": CONTRACT + "test_guesses.py",
    "store/guesses_redis": CONTRACT + "test_guesses.py",
    "store/notices": CONTRACT + "test_people.py",
    "store/keys": CONTRACT + "test_location.py",
    "store/location_memory": CONTRACT + "test_location.py",
    "store/location_redis": CONTRACT + "test_location.py",
    "store/people_memory": CONTRACT + "test_people.py",
    "store/people_redis": CONTRACT + "test_people.py",
    "store/wish_cache": CONTRACT + "test_people.py",
    "store/waiting_memory": CONTRACT + "test_waiting.py",
    "store/waiting_redis": CONTRACT + "test_waiting.py",
    "store/script_runner": CONTRACT + "test_guesses.py",
    "store/scripts": CONTRACT + "test_location.py",
    "store/subscription_codec": CONTRACT + "test_subscriptions.py",
    "store/subscriptions_memory": CONTRACT + "test_subscriptions.py",
    "store/subscriptions_redis": CONTRACT + "test_subscriptions.py",
    "store/traces_redis": CONTRACT + "test_traces.py",
    # parts of the location service, and other small parts of a store
    "store/expiry_index": CONTRACT + "test_location.py",
    "store/flow_set": CONTRACT + "test_location.py",
    "store/outbox": CONTRACT + "test_location.py",
    "store/snapshots_redis": CONTRACT + "test_location.py",
    "store/refusals_redis": "tests/config/test_registrations.py",
    "store/short_connection": WIRE + "test_states.py",
    "store/state_index": CONTRACT + "test_states.py",
    "store/state_keeper": CONTRACT + "test_states.py",
    "store/state_members": CONTRACT + "test_phones.py",
    "store/state_walk": CONTRACT + "test_states.py",
    "store/state_writer": CONTRACT + "test_states.py",
    "store/states_memory": CONTRACT + "test_states.py",
    "store/country_facts": "tests/registrar/store/test_country_download.py",
    "store/many": "tests/config/test_live.py",
    "store/steady_connection": "tests/registrar/store/test_redis_client.py",
    "store/master_pool": "tests/registrar/store/test_sentinels.py",
    "store/media_engine": "tests/registrar/store/test_media_rtpengine.py",
    "store/media_none": "tests/registrar/store/test_media_rtpengine.py",
    "transport/connection": "tests/registrar/transport/test_connections.py",
    "transport/local": WIRE + "test_calls_basic.py",
}


def test_each_module_has_its_tests() -> None:
    modules = {
        path.relative_to(ROOT / "registrar").with_suffix("").as_posix()
        for path in (ROOT / "registrar").rglob("*.py")
        if path.name != "__init__.py"
    }
    own = {name for name in modules if _own_tests(name).exists()}
    assert modules - own == ELSEWHERE.keys(), "a module without tests, or one that has them or is gone"
    assert [place for place in ELSEWHERE.values() if not (ROOT / place).exists()] == []


def _own_tests(module: str) -> Path:
    folder, _, name = f"registrar/{module}".rpartition("/")
    return ROOT / "tests" / folder / f"test_{name}.py"
