"""Warm up, then trade on paper, from Python: as `warmup-job run` and `warmup-job trade` do.

    python examples/paper_trade_with_warmup.py [CONFIG.yaml] [SECONDS]

With a local exchange running (`warmup-job exchange`), the default needs no internet and no keys.
"""

from __future__ import annotations

import asyncio
import sys

from warmup_job import load_config, resolve, trade, warm


async def main(config_file: str, seconds: float) -> None:
    """Publish a snapshot and run the paper trader on it for ``seconds``."""
    plan = resolve(load_config(config_file))
    outcome = await warm(plan)
    if outcome.published is None:
        raise SystemExit(f"nothing was published: {outcome.worst}")
    print(f"published {outcome.published.id}")

    stop = asyncio.Event()
    asyncio.get_running_loop().call_later(seconds, stop.set)
    summary = await trade(plan, stop=stop)
    print(
        f"{'warm' if summary.warm_start else 'cold'} start, regime {summary.regime}, "
        f"{summary.live_bars} live bars, {summary.orders} orders, {summary.fills} fills"
    )


if __name__ == "__main__":
    asyncio.run(
        main(
            sys.argv[1] if len(sys.argv) > 1 else "configs/demo.yaml",
            float(sys.argv[2]) if len(sys.argv) > 2 else 90.0,
        )
    )
