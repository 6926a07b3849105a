/** How much smaller, with one decimal: "3.4:1". */
export function ratio(rawBytes: number, storedBytes: number): string {
  return `${(rawBytes / Math.max(1, storedBytes)).toFixed(1)}:1`;
}
