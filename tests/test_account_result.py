"""The account's drawdown: deposits and withdrawals never count, everything else does."""

from __future__ import annotations

from decimal import Decimal as D

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmup_job.binance.funds import AccountFunds, AssetFunds, Income, parse_income
from warmup_job.hedge_grid.account_equity import PATIENCE, AccountEquity
from warmup_job.hedge_grid.account_result import (
    OVERLAP_MS,
    AccountResult,
    advance_result,
    begin_result,
)


def funds(wallet: str, unrealised: str = "0") -> AssetFunds:
    return AssetFunds(D(wallet), D(unrealised))


def income(at_ms: int, kind: str, amount: str, symbol: str = "BTCUSDT") -> Income:
    return Income(at_ms, kind, "" if "TRANSFER" in kind else symbol, "USDT", D(amount))


def after(before: AccountResult, now: AssetFunds, *rows: Income) -> AccountResult:
    result, unexplained, _ = advance_result(before, now, rows, "BTCUSDT")
    assert unexplained == 0
    return result


@pytest.fixture
def down() -> AccountResult:
    """An account that has lost 10 % of its highest equity of 1,000."""
    first = begin_result(funds("1000"), 100)
    return after(first, funds("950", "-50"), income(110, "REALIZED_PNL", "-50"))


def test_account_result_starts_without_a_drawdown(down: AccountResult) -> None:
    first = begin_result(funds("1000", "-20"), 100)
    assert (first.equity, first.highest, first.drawdown_pct) == (D(980), D(980), D(0))
    assert down.drawdown_pct == 10


def test_account_result_deposit_of_9000_changes_neither_the_drawdown_nor_its_percentage(
    down: AccountResult,
) -> None:
    rich = after(down, funds("9950", "-50"), income(120, "TRANSFER", "9000"))
    assert (rich.equity, rich.highest, rich.drawdown_pct) == (D(9900), D(11000), D(10))
    lost = after(rich, funds("8850", "-50"), income(130, "REALIZED_PNL", "-1100"))
    assert lost.drawdown_pct == 20


def test_account_result_withdrawal_is_no_loss(down: AccountResult) -> None:
    poor = after(down, funds("500", "-50"), income(120, "TRANSFER", "-450"))
    assert (poor.equity, poor.highest, poor.drawdown_pct) == (D(450), D(500), D(10))


@pytest.mark.parametrize("amount", ["-900", "-950"])
def test_account_result_withdrawal_of_everything_starts_again(
    down: AccountResult, amount: str
) -> None:
    left = str(950 + D(amount))
    empty = after(down, funds(left, "-50"), income(120, "TRANSFER", amount))
    assert empty.drawdown_pct == 0
    again = after(empty, funds(str(D(left) + 1000), "0"), income(130, "TRANSFER", "1000"))
    assert (again.highest, again.drawdown_pct) == (again.equity, D(0))


@pytest.mark.parametrize(
    ("unrealised", "realised", "transfer"),
    [("100", "100", "-550"), ("100", "100", "1100"), ("-100", "-100", "-450"),
     ("-100", "-100", "900")],
)  # fmt: skip
def test_account_result_that_is_realised_before_a_transfer_counts_once(
    unrealised: str, realised: str, transfer: str
) -> None:
    """The equity of the last reading contains it already."""
    first = after(begin_result(funds("1000"), 100), funds("1000", unrealised))
    before = first.drawdown_pct
    left = str(1000 + D(realised) + D(transfer))
    both = income(110, "REALIZED_PNL", realised), income(120, "TRANSFER", transfer)
    moved = after(first, funds(left), *both)
    assert moved.drawdown_pct == before
    assert moved.equity == D(left)


def test_account_result_loss_after_a_withdrawal_of_profit_counts_from_the_profit() -> None:
    first = begin_result(funds("1000"), 100)
    rows = [
        income(110, "REALIZED_PNL", "500"), income(120, "TRANSFER", "-500"),
        income(130, "REALIZED_PNL", "-100"),
    ]  # fmt: skip
    assert after(first, funds("900"), *rows).drawdown_pct == 10


def test_account_result_loss_while_no_trader_ran_counts() -> None:
    """Three stops were filled over night, and a deposit came after them."""
    saved = begin_result(funds("1000"), 100)
    stops = [income(200 + at, "REALIZED_PNL", "-50") for at in range(3)]
    fees = [income(200 + at, "COMMISSION", "-1") for at in range(3)]
    rows = sorted([*stops, *fees, income(300, "TRANSFER", "847")])
    back = after(saved, funds("1694"), *rows)
    assert back.drawdown_pct == D("15.3")
    assert (back.realised, back.fees, back.at_ms) == (D(-150), D(3), 300)


def test_account_result_funding_and_fees_count() -> None:
    first = begin_result(funds("1000"), 100)
    paid = after(
        first, funds("985"), income(110, "FUNDING_FEE", "-10"), income(120, "COMMISSION", "-5")
    )
    assert (paid.drawdown_pct, paid.funding, paid.fees, paid.realised) == (
        D("1.5"),
        D(-10),
        D(5),
        D(0),
    )


def test_account_result_other_symbols_count_for_the_equity_and_not_for_the_grid() -> None:
    first = begin_result(funds("1000"), 100)
    lost = after(first, funds("900"), income(110, "REALIZED_PNL", "-100", "ETHUSDT"))
    assert (lost.drawdown_pct, lost.realised) == (D(10), D(0))


def test_account_result_lost_state_keeps_only_what_is_known_from_elsewhere() -> None:
    assert begin_result(funds("1000"), 1).drawdown_pct == 0
    assert begin_result(funds("900"), 1, lost=D(100)).drawdown_pct == 10
    assert begin_result(funds("900"), 1, lost=D(-100)).drawdown_pct == 0


def test_account_result_income_that_the_balances_lack_is_left_to_the_next_reading() -> None:
    """A fill came between the two requests; its two rows have one time."""
    first = begin_result(funds("1000"), 100)
    rows = [
        income(110, "REALIZED_PNL", "-4"), income(110, "COMMISSION", "-1"),
        income(120, "REALIZED_PNL", "-4"), income(120, "COMMISSION", "-1"),
    ]  # fmt: skip
    half = after(first, funds("995"), *rows)
    assert (half.at_ms, half.realised, half.fees) == (110, D(-4), D(1))
    whole = after(half, funds("990"), *rows[2:])
    assert (whole.at_ms, whole.realised, whole.fees) == (120, D(-8), D(2))
    none = after(first, funds("1000"), *rows)
    assert (none.at_ms, none.realised) == (100, D(0))


def test_account_result_rows_of_one_ms_are_counted_together() -> None:
    """Which of them are in the wallet is unknown, so a part of them never counts."""
    first = begin_result(funds("1000"), 100)
    rows = [income(110, "REALIZED_PNL", "-4"), income(110, "COMMISSION", "-1")]
    _, unexplained, _ = advance_result(first, funds("996"), rows, "BTCUSDT")
    assert unexplained == 1


@given(
    st.lists(
        st.tuples(st.sampled_from(["REALIZED_PNL", "COMMISSION", "FUNDING_FEE", "TRANSFER"]),
                  st.integers(-30, 60), st.booleans()),
        max_size=20,
    )
)  # fmt: skip
def test_account_result_is_the_same_however_often_the_account_is_read(
    changes: list[tuple[str, int, bool]],
) -> None:
    wallet = D(1000)
    result = begin_result(funds("1000"), 0)
    waiting: list[Income] = []
    moved = D(0)
    for at, (kind, amount, is_read) in enumerate(changes, start=1):
        waiting.append(income(at, kind, str(amount)))
        wallet += amount
        moved += amount if kind == "TRANSFER" else 0
        if is_read:
            result = after(result, AssetFunds(wallet, D(0)), *waiting)
            waiting = [row for row in waiting if row.at_ms > result.at_ms]
    result = after(result, AssetFunds(wallet, D(0)), *waiting)
    assert result.equity == wallet
    earned = result.realised - result.fees + result.funding
    assert wallet == 1000 + earned + moved
    assert 0 <= result.drawdown_pct <= 100
    if not any(amount < 0 for kind, amount, _ in changes if kind != "TRANSFER"):
        assert result.drawdown_pct < D("1e-20")


# -- readings --------------------------------------------------------------------------------------


def reading(wallet: str, *rows: Income) -> AccountFunds:
    return AccountFunds(100, {"USDT": funds(wallet), "BNB": funds("7")}, rows)


def test_account_equity_withdrawal_that_is_listed_late_is_no_loss() -> None:
    equity = AccountEquity("USDT", "BTCUSDT")
    assert equity.take(reading("1000"), D(0)).is_taken
    for _ in range(3):
        assert not equity.take(reading("400"), D(0)).is_taken
    assert equity.result is not None
    assert equity.result.drawdown_pct == 0
    taken = equity.take(reading("400", income(150, "TRANSFER", "-600")), D(0))
    assert [row.amount for row in taken.transfers] == [-600]
    assert (equity.result.equity, equity.result.drawdown_pct) == (D(400), D(0))


def test_account_equity_loss_that_nothing_explains_counts_in_the_end() -> None:
    equity = AccountEquity("USDT", "BTCUSDT")
    equity.take(reading("1000"), D(0))
    takes = [equity.take(reading("900"), D(0)) for _ in range(PATIENCE + 1)]
    assert [each.is_taken for each in takes] == [False] * PATIENCE + [True]
    assert takes[-1].unexplained == -100
    assert equity.result is not None
    assert equity.result.drawdown_pct == 10


def test_account_equity_readings_of_a_quiet_market_are_of_now_and_read_no_income_again() -> None:
    equity = AccountEquity("USDT", "BTCUSDT")
    equity.take(reading("1000"), D(0))
    fee = income(150, "COMMISSION", "-1")
    equity.take(reading("999", fee)._replace(asked_ms=160), D(0))
    quiet = reading("999")._replace(asked_ms=90_000, unrealised={"BTCUSDT": D(-3)})
    assert equity.take(quiet, D(0)).is_taken
    assert equity.result is not None
    assert (equity.result.as_of_ms, equity.result.unrealised) == (90_000, D(-3))
    assert equity.result.at_ms == 150
    assert not equity.take(reading("900")._replace(asked_ms=95_000), D(0)).is_taken
    assert equity.result.as_of_ms == 90_000, "what is not counted does not make the result newer"


def test_account_result_of_an_earlier_version_is_of_its_last_income() -> None:
    saved = b'{"at_ms":7,"wallet":"10","equity":"9","highest":"10"}'
    result = msgspec.json.decode(saved, type=AccountResult)
    assert (result.as_of_ms, result.unrealised, result.drawdown_pct) == (7, None, D(10))


def test_account_equity_income_of_another_asset_is_not_the_wallets() -> None:
    equity = AccountEquity("USDT", "BTCUSDT")
    equity.take(reading("1000"), D(0))
    fee = Income(150, "COMMISSION", "BTCUSDT", "BNB", D("-0.01"))
    assert equity.take(reading("1000", fee), D(0)).is_taken
    assert equity.result is not None
    assert equity.result.fees == 0


def test_account_result_income_is_read_from_binances_rows_in_order_of_time() -> None:
    row = {
        "symbol": "", "incomeType": "TRANSFER", "income": "-0.37500000", "asset": "USDT",
        "info": "TRANSFER", "time": 1570608000000, "tranId": "9689322392", "tradeId": "",
    }  # fmt: skip
    earlier = row | {"time": 1570607999999, "incomeType": "COMMISSION", "symbol": "BTCUSDT"}
    first, second = parse_income([row, earlier])
    assert (first.kind, first.symbol, first.is_transfer) == ("COMMISSION", "BTCUSDT", False)
    assert (second.amount, second.at_ms, second.is_transfer) == (
        D("-0.375"), 1570608000000, True,
    )  # fmt: skip


def number(at_ms: int, kind: str, amount: str, number: int) -> Income:
    return income(at_ms, kind, amount)._replace(number=str(number))


FILL = number(150, "COMMISSION", "-0.04", 1)
SAME_MS = number(150, "COMMISSION", "-0.04", 2)
"""Another fill of the same ms, with the same fee."""


@pytest.mark.parametrize("second", [(FILL, SAME_MS), (SAME_MS, FILL)])
@pytest.mark.parametrize("last", [FILL, number(170, "COMMISSION", "-0.01", 3)])
def test_account_equity_rows_of_one_ms_in_two_readings_all_count_once(
    second: tuple[Income, ...], last: Income
) -> None:
    """Also if a later change was counted in between: Binance may list them in any order."""
    equity = AccountEquity("USDT", "BTCUSDT")
    equity.take(reading("1000"), D(0))
    before = list(dict.fromkeys([FILL, last]))
    wallet = 1000 + sum(row.amount for row in before)
    assert equity.take(reading(str(wallet), *before), D(0)).is_taken
    assert equity.result is not None
    assert equity.result.fees == 1000 - wallet
    rows = [*second, *(row for row in before if row not in second)]
    wallet -= D("0.04")
    for _ in range(2):
        assert equity.take(reading(str(wallet), *rows), D(0)).unexplained == 0
        assert equity.result.fees == 1000 - wallet
    assert equity.result.settled_ms < FILL.at_ms


def test_account_equity_forgets_what_no_later_reading_lists() -> None:
    equity = AccountEquity("USDT", "BTCUSDT")
    equity.take(reading("1000"), D(0))
    equity.take(reading("999.96", FILL), D(0))
    late = number(150 + 2 * OVERLAP_MS, "COMMISSION", "-1", 3)
    equity.take(reading("998.96", FILL, late), D(0))
    assert equity.result is not None
    assert equity.result.counted == ((late.at_ms, late.key),)
    assert equity.result.settled_ms < late.at_ms
    assert equity.take(reading("998.96", FILL, late), D(0)).is_taken
    assert equity.result.fees == D("1.04")


def test_account_equity_state_of_an_earlier_version_counts_from_the_next_ms_on() -> None:
    old = AccountResult(at_ms=150, wallet=D(1000), equity=D(1000), highest=D(1000))
    equity = AccountEquity("USDT", "BTCUSDT", old)
    later = number(151, "COMMISSION", "-1", 3)
    assert equity.take(reading("999", FILL, later), D(0)).is_taken
    assert equity.result is not None
    assert equity.result.fees == 1


def test_account_equity_begins_when_the_wallet_is_quiet() -> None:
    """Or a change would count twice, or never: it may be in the first balances or not."""
    equity = AccountEquity("USDT", "BTCUSDT")
    assert not equity.take(reading("1000", FILL), D(0)).is_taken
    assert equity.result is None
    assert equity.take(reading("999.96"), D(0)).is_taken
    busy = AccountEquity("USDT", "BTCUSDT")
    takes = [busy.take(reading("1000", FILL), D(0)).is_taken for _ in range(PATIENCE + 1)]
    assert takes == [False] * PATIENCE + [True]
