"""What an indicator is called: one name for every spelling of it. Pure; imports nothing heavy."""

from __future__ import annotations

from typing import Final

BOUNDED: Final = ("sma", "ema", "wilder", "atr", "adx")
"""Those whose memory has a bound; see `warmup_job.proof.convergence`."""

NAUTILUS: Final = {
    "AdaptiveMovingAverage": "ama",
    "AroonOscillator": "aroon",
    "AverageTrueRange": "atr",
    "BollingerBands": "bb",
    "ChandeMomentumOscillator": "cmo",
    "CommodityChannelIndex": "cci",
    "DirectionalMovement": "dm",
    "DonchianChannel": "dc",
    "DoubleExponentialMovingAverage": "dema",
    "EfficiencyRatio": "er",
    "ExponentialMovingAverage": "ema",
    "HullMovingAverage": "hma",
    "IchimokuCloud": "ichimoku",
    "KeltnerChannel": "kc",
    "KlingerVolumeOscillator": "kvo",
    "LinearRegression": "linreg",
    "MovingAverageConvergenceDivergence": "macd",
    "OnBalanceVolume": "obv",
    "RateOfChange": "roc",
    "RelativeStrengthIndex": "rsi",
    "RelativeVolatilityIndex": "rvi",
    "SimpleMovingAverage": "sma",
    "Stochastics": "stoch",
    "VariableIndexDynamicAverage": "vidya",
    "VolumeWeightedAveragePrice": "vwap",
    "WeightedMovingAverage": "wma",
    "WilderMovingAverage": "wilder",
}
"""Short names of Nautilus' classes; it has no ADX."""

_SPELLINGS = {
    **{name.lower(): kind for name, kind in NAUTILUS.items()},
    "averagedirectionalindex": "adx",
    "bollinger": "bb",
    "rma": "wilder",
    "stochastic": "stoch",
}


def kind_of(name: str) -> str:
    """The kind that a name stands for: ``EMA``, ``exponential_moving_average`` → ``ema``.

    Case, blanks and punctuation do not count. A name that is not known stands for itself, in lower
    case. Empty: the name holds no letter and no digit.
    """
    plain = "".join(each for each in name.lower() if each.isalnum())
    return _SPELLINGS.get(plain, plain)
