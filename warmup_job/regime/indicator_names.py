"""The short name (kind) of each indicator, for every spelling of it. Pure."""

from __future__ import annotations

from typing import Final

BOUNDED_KINDS: Final = ("sma", "ema", "wilder", "atr", "adx")
"""The kinds for which `warmup_job.proof.convergence` bounds the influence of old bars."""

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
"""Kinds of Nautilus' indicator classes. Nautilus has no ADX."""

_SPELLINGS = {
    **{name.lower(): kind for name, kind in NAUTILUS.items()},
    "averagedirectionalindex": "adx",
    "bollinger": "bb",
    "rma": "wilder",
    "stochastic": "stoch",
}


def kind_of(name: str) -> str:
    """Return an indicator's kind: ``EMA``, ``exponential_moving_average`` → ``ema``.

    Case, spaces and punctuation are ignored. An unknown name becomes its own kind, in lower case.
    The result is empty if the name has no letter and no digit.
    """
    plain = "".join(each for each in name.lower() if each.isalnum())
    return _SPELLINGS.get(plain, plain)
