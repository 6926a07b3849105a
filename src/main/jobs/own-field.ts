/** Has `object` this field itself? As the operator `in`, without what somebody may have put into `Object.prototype`. */
export function hasField<T extends object, Name extends PropertyKey>(
  object: T,
  name: Name,
): object is Extract<T, { readonly [Key in Name]: unknown }> {
  return Object.hasOwn(object, name);
}
