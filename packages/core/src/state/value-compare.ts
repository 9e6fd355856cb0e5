type Fields = Readonly<Record<string, unknown>>;

function isFields(value: unknown): value is Fields {
  return (
    typeof value === "object" &&
    value !== null &&
    !Array.isArray(value) &&
    !ArrayBuffer.isView(value) &&
    !(value instanceof Map)
  );
}

function join(path: string, key: string): string {
  return path === "" ? key : `${path}.${key}`;
}

function sameLeaf(left: unknown, right: unknown): boolean {
  if (typeof left === "bigint" || typeof right === "bigint") {
    // One integer has two types in JavaScript and one in CBOR.
    return isInteger(left) && isInteger(right) && BigInt(left) === BigInt(right);
  }
  return left === right;
}

function isInteger(value: unknown): value is number | bigint {
  return typeof value === "bigint" || Number.isInteger(value);
}

function sameBytes(left: unknown, right: unknown): boolean {
  return (
    left instanceof Uint8Array &&
    right instanceof Uint8Array &&
    left.length === right.length &&
    left.every((byte, i) => byte === right[i])
  );
}

/**
 * Path of the first part of `value` that `decoded` does not repeat, `(value)` for the whole, or
 * undefined. A property that is undefined equals one that is absent.
 */
export function firstDifference(value: unknown, decoded: unknown, path = ""): string | undefined {
  if (Array.isArray(value) && Array.isArray(decoded) && value.length === decoded.length) {
    for (let i = 0; i < value.length; i++) {
      const inner = firstDifference(value[i], decoded[i], join(path, String(i)));
      if (inner !== undefined) return inner;
    }
    return undefined;
  }
  if (isFields(value) && isFields(decoded)) {
    for (const key of Object.keys(value)) {
      const inner = firstDifference(value[key], decoded[key], join(path, key));
      if (inner !== undefined) return inner;
    }
    return undefined;
  }
  const same = ArrayBuffer.isView(value) ? sameBytes(value, decoded) : sameLeaf(value, decoded);
  return same ? undefined : path || "(value)";
}

/**
 * Path of the first field of `decoded` that is missing in `parsed`, a schema's output: what a schema
 * drops would be lost. Below a part that the schema turned into another kind, nothing is compared.
 */
export function firstDropped(decoded: unknown, parsed: unknown, path = ""): string | undefined {
  if (Array.isArray(decoded) && Array.isArray(parsed)) {
    for (let i = 0; i < decoded.length; i++) {
      if (i >= parsed.length) return join(path, String(i));
      const inner = firstDropped(decoded[i], parsed[i], join(path, String(i)));
      if (inner !== undefined) return inner;
    }
  } else if (isFields(decoded) && isFields(parsed)) {
    for (const key of Object.keys(decoded)) {
      if (!Object.hasOwn(parsed, key)) return join(path, key);
      const inner = firstDropped(decoded[key], parsed[key], join(path, key));
      if (inner !== undefined) return inner;
    }
  }
  return undefined;
}
