"""What the doctor can know of passwords that are stored as hashes only."""

from registrar.commands.doctor_passwords import SHOWN, User, judge_people, judge_users
from registrar.doctor import Level
from registrar.sip import MD5, ha1


def user(name: str, password: str) -> User:
    return User(name, "acme.test", ha1(name, "acme.test", password, MD5), (name, "200", "Acme"))


def test_users_with_a_common_password_are_named() -> None:
    users = [
        user("joe", "letmein"),
        user("ann", "correct horse battery"),
        user("bob", "4711"),
        user("eve", "eve"),
        user("kim", "200"),
    ]
    finding = judge_users(users, seconds=600)
    assert finding.level is Level.WARN
    assert "4 of 5 SIP users" in finding.detail
    assert finding.detail.endswith("joe@acme.test, bob@acme.test, eve@acme.test, kim@acme.test")
    assert "correct horse" not in str(finding) and "letmein" not in str(finding)


def test_what_cannot_be_known_is_said() -> None:
    finding = judge_users([user("ann", "correct horse battery")], seconds=600)
    assert finding.level is Level.OK and "only hashes" in finding.detail
    assert judge_users([]).detail.startswith("0 SIP users")


def test_it_ends_in_time_and_says_how_many_it_has_looked_at() -> None:
    finding = judge_users([user("ann", "correct horse battery")] * 3, seconds=0)
    assert finding.detail.startswith(("0 of 3", "1 of 3"))


def test_people_with_a_weak_password_are_named_and_many_are_summed() -> None:
    assert judge_people([]).level is Level.OK
    many = judge_people([f"p{number}@acme.test" for number in range(SHOWN + 2)])
    assert many.level is Level.WARN
    assert many.detail.endswith("p9@acme.test and 2 more")
