import { visibleLength } from './text.js';

/** A column of a table. */
export interface Column {
  readonly header: string;
  readonly cells: readonly string[];
  /** Its text is at the right. */
  readonly isRight?: boolean;
  /** Where there is not room for all, those with the highest rank go first; those without stay. */
  readonly rank?: number;
}

const GAP = 2;

/**
 * The columns for which there is room in `width`, in their order, and the `room` that is left for something `least` wide at
 * the right; 0 where there is not even that.
 */
export function fit(
  columns: readonly Column[],
  width: number,
  least: number,
): { readonly shown: readonly Column[]; readonly room: number } {
  const shown = [...columns];
  const roomBeside = () => width - shown.reduce((sum, column) => sum + widthOf(column) + GAP, 0);
  // What stands at the right has its gap counted already.
  const wanted = least === 0 ? -GAP : least;
  while (roomBeside() < wanted) {
    const ranks = shown.map(({ rank = 0 }) => rank);
    const first = Math.max(...ranks);
    if (first === 0) break;
    shown.splice(ranks.indexOf(first), 1);
  }
  const room = roomBeside();
  return { shown, room: room < wanted ? 0 : Math.max(0, room) };
}

function widthOf({ header, cells }: Column): number {
  return Math.max(visibleLength(header), ...cells.map(visibleLength));
}
