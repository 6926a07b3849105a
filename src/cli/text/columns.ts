import { visibleLength } from './text.js';

/** A column of a table. */
export interface Column {
  readonly header: string;
  readonly cells: readonly string[];
  /** The text is aligned to the right. */
  readonly isRight?: boolean;
  /** If not all columns fit, those with the highest rank are left out first; columns without a rank always stay. */
  readonly rank?: number;
}

const GAP = 2;

/**
 * The columns that fit into `width`, in their order, and the `room` left at the right for an item of at least `least`
 * columns; 0 if the item does not fit.
 */
export function fitColumns(
  columns: readonly Column[],
  width: number,
  least: number,
): { readonly shown: readonly Column[]; readonly room: number } {
  const shown = [...columns];
  const roomBeside = () => width - shown.reduce((sum, column) => sum + widthOf(column) + GAP, 0);
  // The gap of the item at the right is counted already.
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
