/*
 * The fields of a view, as the language itself keeps them.
 *
 * A caller's view, or its class, may define properties of the same names. Such a property could return something else each time
 * it is read, or run the caller's code in the middle of an append. These functions read the fields that the engine copies by, and
 * run no caller's code.
 */

const ofTypedArray = fieldsOf(Object.getPrototypeOf(Uint8Array.prototype));
const ofDataView = fieldsOf(DataView.prototype);
const { tag, length, byteOffset, buffer } = ofTypedArray;
const { at } = Uint8Array.prototype;

type Getter<T> = (this: ArrayBufferView) => T;

function fieldsOf(prototype: object) {
  const getter = <T>(name: PropertyKey) => Object.getOwnPropertyDescriptor(prototype, name)?.get as Getter<T>;
  return {
    /** The name of the class; `undefined` for anything that is not a typed array. */
    tag: getter<string | undefined>(Symbol.toStringTag),
    length: getter<number>('length'),
    byteLength: getter<number>('byteLength'),
    byteOffset: getter<number>('byteOffset'),
    buffer: getter<ArrayBufferLike>('buffer'),
  };
}

/**
 * True also for `Buffer` and every other subclass, of any realm. False for a Proxy, and for an object that merely inherits from
 * one.
 */
export function isUint8Array(value: unknown): value is Uint8Array {
  return tag.call(value as Uint8Array) === 'Uint8Array';
}

/** Elements: for a `Uint8Array`, bytes. 0 if the memory is gone. */
export function lengthOf(view: Uint8Array): number {
  return length.call(view);
}

/** Bytes from the start of the memory to the view's first byte. */
export function byteOffsetOf(view: Uint8Array): number {
  return byteOffset.call(view);
}

/** A new view of `bytes` bytes of `view`, from its byte `from` on. */
export function partOf(view: Uint8Array, from: number, bytes: number): Uint8Array {
  return new Uint8Array(buffer.call(view), byteOffset.call(view) + from, bytes);
}

/**
 * A new view of the bytes of any view; `undefined` if its memory is gone: it was transferred, or has shrunk so that the view
 * reaches past its end.
 */
export function bytesOf(view: ArrayBufferView): Uint8Array | undefined {
  const fields = tag.call(view) === undefined ? ofDataView : ofTypedArray;
  if (!hasMemory(view)) return undefined;
  return new Uint8Array(fields.buffer.call(view), fields.byteOffset.call(view), fields.byteLength.call(view));
}

/** See [bytesOf]. */
export function hasMemory(view: ArrayBufferView): boolean {
  try {
    if (tag.call(view) === undefined) ofDataView.byteLength.call(view);
    else at.call(view as Uint8Array, 0);
    return true;
  } catch {
    // Only by throwing does the language tell such a view from an empty one.
    return false;
  }
}
