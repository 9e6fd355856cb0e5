/** One value of a record, by name; plain JSON. */
export interface StateNode {
  /** Field name, or the place in a list. */
  readonly name: string;
  readonly kind: "map" | "list" | "bytes" | "text" | "number" | "boolean" | "null";
  /** Of a leaf. Bytes are hex; integers beyond 2^53 are decimal text. */
  readonly value?: string | number | boolean | null;
  /** What the plugin's schema says of the field. */
  readonly description?: string;
  readonly children?: readonly StateNode[];
}

/** What a schema says of a field, and of those below it. */
export interface FieldNotes {
  readonly description?: string | undefined;
  field(name: string): FieldNotes | undefined;
}

/** Turns a decoded payload into a tree. */
export function toStateNode(name: string, value: unknown, notes?: FieldNotes): StateNode {
  const description = notes?.description;
  const head = description === undefined ? { name } : { name, description };
  if (Array.isArray(value)) {
    const children = value.map((inner, i) =>
      toStateNode(String(i), inner, notes?.field(String(i))),
    );
    return { ...head, kind: "list", children };
  }
  if (value instanceof Uint8Array) {
    return { ...head, kind: "bytes", value: Buffer.from(value).toString("hex") };
  }
  if (typeof value === "object" && value !== null) {
    const children = Object.entries(value).map(([key, inner]) =>
      toStateNode(key, inner, notes?.field(key)),
    );
    return { ...head, kind: "map", children };
  }
  if (typeof value === "bigint") return { ...head, kind: "number", value: value.toString() };
  if (typeof value === "number") return { ...head, kind: "number", value };
  if (typeof value === "boolean") return { ...head, kind: "boolean", value };
  if (typeof value === "string") return { ...head, kind: "text", value };
  return { ...head, kind: "null", value: null };
}

/** Nodes of a tree, the root included. */
export function countNodes(node: StateNode): number {
  let count = 1;
  for (const child of node.children ?? []) count += countNodes(child);
  return count;
}
