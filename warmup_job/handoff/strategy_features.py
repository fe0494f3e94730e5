"""What a strategy may offer to the runner beside Nautilus' own methods. All of it is optional."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol, runtime_checkable

from nautilus_trader.model.data import BarType
from nautilus_trader.trading.strategy import Strategy

from warmup_job.binance.funds import AccountFunds
from warmup_job.hedge_grid.grid_figures import GridFigures
from warmup_job.modes import OperatorState
from warmup_job.regime.detector import DetectorBar


@runtime_checkable
class TakesDetectorBars(Protocol):
    """A strategy that takes its history as detector bars, in one call, before it trades."""

    def warmup_regime_detector(self, historical_bars: Iterable[DetectorBar]) -> None:
        """Take closed bars, oldest first."""


@runtime_checkable
class ReportsWarmth(Protocol):
    """A strategy that knows whether its indicators have had enough bars."""

    @property
    def is_warm(self) -> bool:
        """Whether orders may be sent on what the indicators show."""


@runtime_checkable
class HasDetector(Protocol):
    """A strategy whose regime is part of the trader's summary, if its detector is ours."""

    detector: object


@runtime_checkable
class ReportsStateChanges(Protocol):
    """A strategy whose state is saved when it changes, not only after every bar."""

    on_state_change: Callable[[], None]
    """Set by the runner; the strategy calls it on the event loop after each change."""


@runtime_checkable
class UsesAccountFunds(Protocol):
    """A strategy that follows the account's equity without deposits and withdrawals; live only."""

    @property
    def funds_until_ms(self) -> int | None:
        """Until when it knows all of the account's income, the exchange's time, UTC ms.

        None: it does not know the account yet.
        """

    def on_account_funds(self, funds: AccountFunds) -> bool:
        """Take the account's balances, and the income since ``funds_until_ms``.

        Returns:
            False: they do not fit together yet; it wants another reading soon.
        """


@runtime_checkable
class UsesFundingIntervals(Protocol):
    """A strategy that counts funding payments."""

    def on_funding_hours(self, hours: Mapping[str, int]) -> None:
        """Take the hours between two payments, by Binance's symbol; others pay every 8 hours."""


@runtime_checkable
class ChoosesFirstBar(Protocol):
    """A strategy that decides for itself whether on_bar gets the newest closed bar at the start."""

    acts_on_first_bar: bool


@runtime_checkable
class ActsOnOwnOrders(Protocol):
    """A strategy that finds its orders by their ids; the runner says which are this trader's."""

    owns_order: Callable[[str], bool]
    """Whether this trader made the order with this id."""


@runtime_checkable
class FollowsOneBarType(Protocol):
    """A strategy's configuration that names the bars that the strategy trades on."""

    bar_type: BarType


@runtime_checkable
class HeedsOperator(Protocol):
    """A strategy that knows that the operator has paused it, or closes its positions.

    A strategy that does not needs nothing: its entries are denied and cancelled, and its positions
    are closed, as those of any other.
    """

    def on_operator_state(self, state: OperatorState) -> None:
        """Send no entries unless ``trading``, and no orders at all while ``flattening``."""


@runtime_checkable
class LiftsDrawdownStop(Protocol):
    """A strategy that a drawdown stops for good, until the operator lets it trade again."""

    def lift_drawdown_stop(self) -> bool:
        """Measure the drawdown from the present equity on, save that, and send entries again.

        Returns:
            Whether a drawdown had stopped it; otherwise nothing changes.
        """


@runtime_checkable
class ReportsOwedExits(Protocol):
    """A strategy that knows that it has yet to send or repeat an exit; the trader's end waits."""

    @property
    def owes_exits(self) -> bool:
        """Whether a position is being closed, or an exit that was refused is to be repeated."""


@runtime_checkable
class ReportsFigures(Protocol):
    """A strategy whose figures are part of the trader's report."""

    def figures(self) -> GridFigures | None:
        """Return the present figures; None: there are none yet."""


def is_warm(strategy: Strategy) -> bool:
    """Return whether a strategy is warm; one that does not report it counts as warm."""
    return not isinstance(strategy, ReportsWarmth) or bool(strategy.is_warm)
