export interface ModelCase {
  readonly model: string;
  /** The fault that is built in; undefined = the model as it is. */
  readonly mutant: string | undefined;
}
export const cases: readonly ModelCase[];
export function whySkipped(): string | undefined;
export function check(modelCase: ModelCase): { accepted: boolean; states: number; reason: string };
