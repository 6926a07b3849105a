/** Maps figures to positions on an axis. */
export interface Axis {
  readonly place: (value: number) => number;
  readonly ticks: readonly number[];
}

/** From 0 to a round number at or above `max`. */
export function linearAxis(max: number, from: number, to: number): Axis {
  const step = roundStep(max / 4);
  const end = Math.max(step, Math.ceil(max / step) * step);
  const ticks = Array.from({ length: Math.round(end / step) + 1 }, (_, at) => at * step);
  return { place: (value) => from + (value / end) * (to - from), ticks };
}

/** Around `min` and `max`, both above 0; ticks at 1, 2 and 5 times powers of ten, or fewer of them. */
export function logAxis(min: number, max: number, from: number, to: number): Axis {
  const lowest = Math.log10(min) - 0.06;
  const highest = Math.log10(max) + 0.06;
  const place = (value: number) => from + ((Math.log10(value) - lowest) / (highest - lowest)) * (to - from);
  const factors = highest - lowest > 3 ? [1] : highest - lowest > 1.6 ? [1, 3] : [1, 2, 5];
  const ticks = [];
  for (let power = Math.floor(lowest); power <= highest; power++) {
    for (const factor of factors) {
      const tick = factor * 10 ** power;
      if (Math.log10(tick) >= lowest && Math.log10(tick) <= highest) ticks.push(tick);
    }
  }
  return { place, ticks };
}

function roundStep(atLeast: number): number {
  const power = 10 ** Math.floor(Math.log10(atLeast));
  const factor = [1, 2, 2.5, 5, 10].find((each) => each * power >= atLeast) ?? 10;
  return factor * power;
}
