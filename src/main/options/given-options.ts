/**
 * What a caller gave as options, each read once: a getter may answer something else the next time.
 *
 * Names are looked up in the object and in what it inherits from, and not in `Object.prototype`: what somebody has put there, for whatever
 * reason, is nobody's option. The answer has no prototype, so that the same holds for whoever reads it.
 *
 * @param known names that count although they are not enumerable, as the getters of a class
 */
export function givenOptions<T extends object>(options: T, known: readonly string[]): T {
  // Refused by the check that follows.
  if (typeof options !== 'object' || options === null) return options;
  const given = Object.create(null) as Record<string, unknown>;
  for (let each: object | null = options; isHolder(each); each = Object.getPrototypeOf(each)) {
    const holder = each;
    const names = [...Object.keys(holder), ...known.filter((name) => Object.hasOwn(holder, name))];
    for (const name of names) {
      if (!Object.hasOwn(given, name)) given[name] = (options as Record<string, unknown>)[name];
    }
  }
  return given as T;
}

/** Does `options` have this name, by itself or by what it inherits from? */
export function isGiven(options: object, name: string): boolean {
  for (let each: object | null = options; isHolder(each); each = Object.getPrototypeOf(each)) {
    if (Object.hasOwn(each, name)) return true;
  }
  return false;
}

function isHolder(object: object | null): object is object {
  return object !== null && object !== Object.prototype;
}
