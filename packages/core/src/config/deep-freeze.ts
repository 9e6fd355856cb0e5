function isPlain(value: unknown): value is object {
  if (typeof value !== "object" || value === null) return false;
  if (Array.isArray(value)) return true;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

function freeze(value: unknown, seen: Set<object>): void {
  if (!isPlain(value) || seen.has(value)) return;
  seen.add(value);
  Object.freeze(value);
  for (const inner of Object.values(value)) freeze(inner, seen);
}

/**
 * Freezes a plain value and all plain objects and arrays in it. Instances of classes, zod's schemas
 * among them, are left alone: they may fill themselves in later.
 */
export function deepFreeze<T>(value: T): T {
  freeze(value, new Set());
  return value;
}
