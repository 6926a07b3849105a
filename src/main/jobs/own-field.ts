/** Does `object` have this field? As the operator `in`, but without fields that other code may have put into `Object.prototype`. */
export function hasField<T extends object, Name extends PropertyKey>(
  object: T,
  name: Name,
): object is Extract<T, { readonly [Key in Name]: unknown }> {
  return Object.hasOwn(object, name);
}
