/**
 * Does `value` do what an AbortSignal does? Of whatever class: a DOM that runs in Node has its own. What merely inherits from one, or
 * is a Proxy around one, does not.
 */
export function isAbortSignal(value: unknown): value is AbortSignal {
  if (typeof value !== 'object' || value === null) return false;
  try {
    const { aborted, addEventListener, removeEventListener, throwIfAborted } = value as Partial<AbortSignal>;
    const methods = [addEventListener, removeEventListener, throwIfAborted];
    return typeof aborted === 'boolean' && methods.every((each) => typeof each === 'function');
  } catch {
    // `aborted` throws where there is no signal behind it.
    return false;
  }
}
