"""The oracle's rules, each on a good and a bad made-up journal."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.support.oracle import Bounds, Excuse, Verdict, judge, wallet_story
from tests.support.oracle_story import Observation

START_MS = 1_700_000_000_000
LIVE = [Observation(START_MS - 10_000, "live", "contiguous")]
BOUNDS = Bounds(unprotected_ms=1_000, duplicate_ms=1_000, flight_ms=500)


class Account:
    """Writes a journal as the exchange does, in hedge mode on one symbol."""

    def __init__(self) -> None:
        self.journal: list[dict[str, Any]] = []
        self.now_ms = START_MS
        self.held = {"LONG": Decimal(0), "SHORT": Decimal(0)}
        self.balance = Decimal(10_000)
        self.known: dict[str, dict[str, Any]] = {}

    def wait(self, ms: int) -> Account:
        self.now_ms += ms
        return self

    def note(self, event: str, **fields: Any) -> Account:
        entry = {"n": len(self.journal) + 1, "at_ms": self.now_ms, "event": event} | fields
        self.journal.append(entry)
        return self

    def order(
        self, client_id: str, quantity: str, price: str, book: str = "LONG", **changes: Any
    ) -> Account:
        """Accept an order whose side and type follow from its id, unless ``changes`` say more."""
        is_entry, is_stop = client_id[0] not in "TSF", client_id[0] == "S"
        fields = {
            "client_id": client_id, "order_id": len(self.known) + 1, "symbol": "BTCUSDT",
            "kind": "algo" if is_stop else "order", "position_side": book,
            "side": "BUY" if (book == "LONG") == is_entry else "SELL",
            "type": "STOP_MARKET" if is_stop else "LIMIT", "status": "NEW",
            "quantity": quantity, "filled": "0", "price": "0" if is_stop else price,
            "stop_price": price if is_stop else "0", "reduces": not is_entry, "reason": "",
        } | changes  # fmt: skip
        self.known[client_id] = fields
        return self.note("order", **fields)

    def ends(self, client_id: str, status: str = "CANCELED", reason: str = "") -> Account:
        return self.note("order", **self.known[client_id] | {"status": status, "reason": reason})

    def fill(self, client_id: str, quantity: str | None = None, **changes: Any) -> Account:
        """Fill an order, completely or the given quantity, with its position and its fee."""
        order = self.known[client_id]
        amount = Decimal(quantity or order["quantity"])
        filled = Decimal(order["filled"]) + amount
        status = "FILLED" if filled == Decimal(order["quantity"]) else "PARTIALLY_FILLED"
        self.known[client_id] = order | {"filled": str(filled), "status": status}
        self.note("order", **self.known[client_id])
        book = order["position_side"]
        fields = {
            "client_id": client_id, "order_id": order["order_id"], "trade_id": len(self.journal),
            "symbol": "BTCUSDT", "position_side": book, "side": order["side"],
            "price": order["price"], "quantity": str(amount), "fee": "0.02", "maker": True,
            "realised": "0",
        } | changes  # fmt: skip
        self.note("fill", **fields)
        self.held[book] += -amount if client_id[0] in "TSF" else amount
        self.position(book).wallet("-0.02", "COMMISSION")
        return self

    def position(self, book: str) -> Account:
        quantity = self.held[book] if book == "LONG" else -self.held[book]
        return self.note(
            "position", symbol="BTCUSDT", position_side=book, quantity=str(quantity),
            entry_price="50000",
        )  # fmt: skip

    def wallet(self, change: str, reason: str) -> Account:
        self.balance += Decimal(change)
        return self.note("wallet", balance=str(self.balance), change=change, reason=reason)

    def verdict(self, observations: list[Observation] | None = None, **options: Any) -> Verdict:
        observed = LIVE if observations is None else observations
        return judge(self.journal, observed, now_ms=self.now_ms, bounds=BOUNDS, **options)


def protected() -> Account:
    """Return an account with an entry that has filled and has both exits, 300 ms later."""
    account = Account().order("E-1", "0.004", "50000").wait(5_000).fill("E-1").wait(300)
    return account.order("S1-1", "0.004", "49600").order("T1-1", "0.004", "50100").wait(60_000)


def rules(verdict: Verdict) -> list[str]:
    return [each.rule for each in verdict.violations]


# -- stops -----------------------------------------------------------------------------------------


def test_a_position_with_a_stop_soon_after_its_fill_is_silent() -> None:
    verdict = protected().verdict()
    verdict.assert_silent()
    assert verdict.longest_unprotected_ms == 300


def test_a_position_without_a_stop_is_a_violation() -> None:
    account = Account().order("E-1", "0.004", "50000").fill("E-1").wait(1_200)
    verdict = account.order("S1-1", "0.004", "49600").wait(60_000).verdict()
    assert rules(verdict) == ["unprotected"]
    assert "0.004 of 0.004 BTCUSDT LONG has no stop, for 1200 ms" in verdict.violations[0].what


def test_a_position_without_a_stop_at_the_end_counts_until_the_end() -> None:
    account = Account().order("E-1", "0.004", "50000").fill("E-1").wait(5_000)
    verdict = account.verdict()
    assert rules(verdict) == ["unprotected"]
    assert "still at the end, for 5000 ms" in verdict.violations[0].what


def test_a_stop_for_a_part_of_the_position_does_not_cover_it() -> None:
    account = Account().order("E-1", "0.004", "50000").fill("E-1")
    verdict = account.order("S1-1", "0.003", "49600").wait(5_000).verdict()
    assert "0.001 of 0.004" in verdict.violations[0].what


def test_a_chronic_lack_is_not_hidden_by_later_fills_that_are_covered() -> None:
    account = Account().order("E-1", "0.004", "50000").fill("E-1")
    for key in range(2, 8):
        account.wait(300).order(f"E-{key}", "0.004", "50000").fill(f"E-{key}").wait(100)
        account.order(f"S1-{key}", "0.004", "49600")
    assert rules(account.verdict()) == ["unprotected"]


def test_a_stop_that_sticks_at_its_trigger_covers_nothing() -> None:
    account = protected().wait(5_000)
    account.ends("S1-1", "TRIGGERING")
    account.wait(900).verdict().assert_silent()
    assert rules(account.wait(900).verdict()) == ["unprotected"]


def test_a_stop_that_becomes_an_order_at_its_trigger_covers_until_it_is_filled() -> None:
    account = protected().wait(5_000)
    account.ends("S1-1", "TRIGGERING").ends("S1-1", "TRIGGERED")
    account.order("S1-1", "0.004", "0", kind="order", type="MARKET").wait(5_000).fill("S1-1")
    account.verdict().assert_silent()


def test_a_stop_of_the_other_book_covers_nothing() -> None:
    account = Account().order("E-1", "0.004", "50000").fill("E-1")
    account.order("S1-1", "0.004", "50400", book="SHORT").wait(5_000)
    assert "unprotected" in rules(account.verdict())


def test_a_take_profit_covers_nothing() -> None:
    account = Account().order("E-1", "0.004", "50000").fill("E-1")
    account.order("T1-1", "0.004", "50100").wait(5_000)
    assert rules(account.verdict()) == ["unprotected"]


def test_a_market_order_that_closes_the_position_covers_it() -> None:
    account = Account().order("E-1", "0.004", "50000").fill("E-1")
    account.order("S1-1", "0.004", "0", kind="order", type="MARKET").wait(5_000).fill("S1-1")
    account.verdict().assert_silent()


def test_a_stop_that_closes_the_whole_position_covers_it() -> None:
    account = Account().order("E-1", "0.004", "50000").fill("E-1")
    account.order("S1-1", "0", "49600").wait(5_000)
    account.verdict().assert_silent()


def test_a_rejected_stop_covers_nothing() -> None:
    account = Account().order("E-1", "0.004", "50000").fill("E-1")
    account.order("S1-1", "0.004", "49600", status="REJECTED", reason="-4118").wait(5_000)
    assert rules(account.verdict()) == ["unprotected"]


def test_a_cancelled_stop_covers_nothing_any_more() -> None:
    account = protected().ends("S1-1").wait(2_000)
    assert rules(account.verdict()) == ["unprotected"]
    assert account.verdict().unprotected_ms == (2_000, 300)


def test_time_in_which_the_trader_is_dead_is_excused_and_no_longer() -> None:
    account = Account().order("E-1", "0.004", "50000").fill("E-1").wait(20_000)
    account.order("S1-1", "0.004", "49600").wait(1_000)
    dead = Excuse(START_MS + 500, START_MS + 19_800, "killed")
    verdict = account.verdict(excuses=[dead])
    verdict.assert_silent()
    assert verdict.longest_unprotected_ms == 700
    late = Excuse(START_MS + 500, START_MS + 19_000, "killed")
    assert rules(account.verdict(excuses=[late])) == ["unprotected"]


# -- owners ----------------------------------------------------------------------------------------


def test_an_order_with_an_unknown_id_has_no_owner_unless_it_is_declared() -> None:
    account = Account().order("web_abc", "0.004", "50000")
    assert rules(account.verdict()) == ["without owner"]
    account.verdict(is_foreign=lambda name: name.startswith("web_")).assert_silent()


def test_an_order_of_a_flatten_closes_what_no_stop_covers_any_more() -> None:
    account = protected().order("F-2", "0.004", "0", kind="order", type="MARKET").fill("F-2")
    for exit_id in ("S1-1", "T1-1"):
        account.note("order", **account.known[exit_id] | {"status": "CANCELED"})
    account.wait(5_000).verdict().assert_silent()


@pytest.mark.parametrize(
    ("client_id", "side"), [("S1-1", "BUY"), ("T1-1", "BUY"), ("F-1", "BUY"), ("E-1", "SELL")]
)
def test_an_id_that_does_not_fit_what_the_order_does_is_a_violation(
    client_id: str, side: str
) -> None:
    account = Account().order(client_id, "0.004", "50000", side=side)
    assert "without owner" in rules(account.verdict())


# -- duplicates ------------------------------------------------------------------------------------


def test_two_entries_on_one_rung_are_a_violation_and_neighbours_are_not() -> None:
    account = Account().order("E-1", "0.004", "50000").order("E-2", "0.004", "49950")
    account.order("E-3", "0.004", "50050", book="SHORT").wait(5_000).verdict().assert_silent()
    verdict = account.order("E-4", "0.004", "49951").wait(5_000).verdict()
    assert rules(verdict) == ["duplicated"]
    assert "two entries on one rung: E-2 @49950 and E-4 @49951" in verdict.violations[0].what


def test_an_entry_may_be_there_while_the_one_that_it_replaces_is_cancelled() -> None:
    account = Account().order("E-1", "0.004", "50000").order("E-2", "0.004", "50000").wait(900)
    account.ends("E-1").wait(60_000).verdict().assert_silent()


def test_two_stops_of_one_lot_are_a_violation() -> None:
    account = protected().order("E-2", "0.004", "49900").fill("E-2").order("S1-2", "0.001", "49500")
    account.order("S2-1", "0.003", "49600").wait(5_000)  # together they do not exceed the position
    verdict = account.verdict()
    assert rules(verdict) == ["duplicated"]
    assert "two stops of one lot of 0.004: S1-1 0.004, S2-1 0.003" in verdict.violations[0].what


def test_two_stops_that_share_a_lot_are_silent() -> None:
    account = Account().order("E-1", "0.004", "50000").fill("E-1", "0.001")
    account.order("S1-1", "0.001", "49600").wait(3_000).fill("E-1", "0.003")
    account.order("S2-1", "0.003", "49600").wait(5_000).verdict().assert_silent()


def test_stops_beyond_the_position_are_a_violation() -> None:
    account = protected().fill("T1-1").wait(2_000)
    verdict = account.verdict()
    assert rules(verdict) == ["duplicated"]
    assert "stops for 0.004 of 0.000 BTCUSDT LONG held: S1-1 0.004" in verdict.violations[0].what


def test_the_other_exit_may_rest_until_its_cancel_arrives() -> None:
    protected().fill("T1-1").wait(900).ends("S1-1").wait(60_000).verdict().assert_silent()


def test_take_profits_beyond_the_position_are_a_violation() -> None:
    account = protected().order("T2-1", "0.001", "50100").wait(2_000)
    assert "take profits for 0.005 of 0.004" in account.verdict().violations[0].what


# -- the books -------------------------------------------------------------------------------------


def test_a_fill_that_closes_more_than_is_held_is_a_violation() -> None:
    account = protected().order("T2-1", "0.005", "50100").fill("T2-1")
    verdict = account.verdict()
    assert rules(verdict)[0] == "beyond the position"
    assert "T2-1 closes 0.005 of 0.004" in verdict.violations[0].what


def test_a_position_that_its_fills_do_not_explain_is_a_violation() -> None:
    account = protected()
    account.held["LONG"] += 1
    verdict = account.position("LONG").verdict()
    assert rules(verdict) == ["does not add up"]
    assert "add up to 0.004, its position is 1.004" in verdict.violations[0].what


def test_a_wallet_that_its_changes_do_not_explain_is_a_violation() -> None:
    account = protected()
    account.balance += 1
    verdict = account.wallet("5", "FUNDING").verdict()
    assert rules(verdict) == ["does not add up"]
    assert "a wallet of 9999.98 +5 is not 10005.98" in verdict.violations[0].what


def test_a_trade_that_is_reported_twice_is_a_violation() -> None:
    account = Account().order("E-1", "0.004", "50000").fill("E-1", "0.002", trade_id=7)
    account.fill("E-1", "0.002", trade_id=7).order("S1-1", "0.004", "49600")
    assert rules(account.verdict()) == ["does not add up"]


# -- the trader's state ----------------------------------------------------------------------------


def test_an_entry_accepted_while_the_trader_is_not_live_is_a_violation() -> None:
    account = Account().wait(10_000).order("E-1", "0.004", "50000")
    degraded = [*LIVE, Observation(START_MS + 9_400, "degraded", "a gap")]
    verdict = account.verdict(degraded)
    assert rules(verdict) == ["entry while not live"]
    assert verdict.violations[0].what.endswith("while the trader was degraded: a gap")


def test_an_entry_on_its_way_when_the_trader_degrades_is_silent() -> None:
    account = Account().wait(10_000).order("E-1", "0.004", "50000")
    account.verdict([*LIVE, Observation(START_MS + 9_600, "degraded", "a gap")]).assert_silent()


def test_an_entry_before_the_trader_has_started_is_a_violation() -> None:
    account = Account().order("E-1", "0.004", "50000")
    assert rules(account.verdict([Observation(START_MS + 1, "live")])) == ["entry while not live"]


def test_an_exit_may_be_accepted_in_every_state() -> None:
    account = protected().ends("S1-1").order("S2-1", "0.004", "49600")
    stopping = [*LIVE, Observation(START_MS + 8_000, "stopping", "asked to")]
    account.verdict(stopping).assert_silent()


# -- the wallet ------------------------------------------------------------------------------------


def test_a_wallet_that_changed_by_what_the_strategy_reports_is_silent() -> None:
    account = protected().wallet("5000", "TRANSFER").wallet("-0.5", "FUNDING").wallet("1", "TRADE")
    assert not wallet_story(account.journal, Decimal("0.48"), at_ms=account.now_ms)


def test_a_wallet_that_changed_by_something_else_shows_the_sums() -> None:
    account = protected().wallet("-0.5", "FUNDING").wallet("1", "TRADE")
    told = wallet_story(account.journal, Decimal("0.98"), at_ms=account.now_ms)
    assert "changed by 0.48, and the strategy reports 0.98 (difference -0.50)" in told
    assert "COMMISSION -0.02, FUNDING -0.5, TRADE 1" in told


def test_a_change_that_the_strategy_cannot_have_heard_yet_is_silent() -> None:
    account = protected().wallet("1", "TRADE").wait(300).wallet("7", "TRADE")
    assert not wallet_story(account.journal, Decimal("0.98"), at_ms=account.now_ms - 100)
    told = wallet_story(account.journal, Decimal("0.98"), at_ms=account.now_ms + 5_000)
    assert "difference 7" in told


# -- the story -------------------------------------------------------------------------------------


def test_the_story_shows_what_happened_around_the_violation_in_plain_lines() -> None:
    account = protected().note(
        "request", method="DELETE", path="/fapi/v1/algoOrder", client_id="S1-1", status=200, code=0
    )
    account.ends("S1-1", reason="asked to").wait(5_000)
    degraded = [*LIVE, Observation(START_MS + 5_100, "degraded", "a gap")]
    with pytest.raises(AssertionError) as failure:
        account.verdict(degraded).assert_silent()
    told = str(failure.value)
    assert "1 violation(s)" in told
    assert "unprotected: 0.004 of 0.004 BTCUSDT LONG has no stop" in told
    lines = [line[:3] + line[16:] for line in told.splitlines()]
    assert "   (before: the trader is live: contiguous)" in told
    assert "   order    E-1 NEW: LIMIT BUY LONG 0.004 @50000" in lines
    assert "   fill     E-1 BUY LONG 0.004 @50000, fee 0.02, realised 0" in lines
    assert "   position BTCUSDT LONG 0.004 @50000" in lines
    assert "   wallet   COMMISSION -0.02 -> 9999.98" in lines
    assert "   trader   is degraded: a gap" in lines
    assert "   request  DELETE /fapi/v1/algoOrder S1-1 -> 200" in lines
    assert "=> order    S1-1 CANCELED: STOP_MARKET SELL LONG 0.004 @49600 (asked to)" in lines
    assert lines.index("   trader   is degraded: a gap") < len(lines) - 3


def test_the_story_has_some_twenty_lines_of_a_long_journal() -> None:
    account = Account()
    for key in range(500):
        account.wait(100).order(f"E-{key}", "0.004", "50000").ends(f"E-{key}")
    account.order("E-500", "0.004", "50000").order("E-501", "0.004", "50000").wait(5_000)
    for key in range(600, 700):
        account.order(f"E-{key}", "0.004", "49000").ends(f"E-{key}")
    (story,) = account.verdict().stories
    assert story.startswith("duplicated: two entries on one rung: E-500")
    assert 20 <= len(story.splitlines()) <= 25
    assert "E-499" in story
    assert "E-480" not in story
