"""The people who look at the board of a server, each with a login of the test's own."""

from itertools import count
from typing import Any, Final

from tests.peers.board_page import BoardPage
from tests.peers.browser import Browser
from tests.wire.site import Site

PASSWORD: Final = "a good password of the tests"
_people: Final = count(1)


class Operators:
    """Boards in tabs of one browser; `close` ends them."""

    def __init__(self, site: Site, browser: Browser) -> None:
        self._site = site
        self._browser = browser
        self._boards: list[BoardPage] = []

    def login(self, level: str, customer: str = "") -> dict[str, Any]:
        """A new person: the whole employee, and `emailAddress` to log in with PASSWORD."""
        number = next(_people)
        body = {
            "customer": customer or self._site.demo()["customer"],
            "name": f"Operator {number}",
            "accessLevel": level,
            "emailAddress": f"operator-{number}@people.example",
            "password": PASSWORD,
        }
        reply = self._site.api("POST", "/employee", body)
        assert reply.status == 200, reply
        return dict(reply.body)

    def page(self) -> BoardPage:
        """A tab of its own, which shows nothing yet."""
        name = f"board {next(_people)}"
        board = BoardPage(self._browser.tab(name), "http://{}:{}".format(*self._site.http))
        self._boards.append(board)
        return board

    def board(self, level: str = "ADMIN", customer: str = "", place: str = "") -> BoardPage:
        """The board of a new person, which is live."""
        board = self.page()
        board.open(place)
        board.log_in(self.login(level, customer)["emailAddress"], PASSWORD)
        board.until("live", lambda: board.feed() == "live")
        return board

    def close(self) -> None:
        """Close all tabs."""
        for board in self._boards:
            board.tab.close_tab()
