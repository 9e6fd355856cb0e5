import { z } from "zod";
import type { FieldNotes } from "./state-tree.ts";

type JsonSchema = Readonly<Record<string, unknown>>;

/** Reads the descriptions out of a plugin's schema; undefined where the schema cannot be written down. */
export function fieldNotes(schema: z.ZodType): FieldNotes | undefined {
  try {
    const json: unknown = z.toJSONSchema(schema, { unrepresentable: "any", io: "input" });
    return isJsonSchema(json) ? new SchemaNotes([json], json) : undefined;
  } catch {
    // Descriptions are help for people; without them the tree still has each field's own name.
    return undefined;
  }
}

function isJsonSchema(value: unknown): value is JsonSchema {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Several schemas where a union leaves open which one applies. */
class SchemaNotes implements FieldNotes {
  readonly #schemas: readonly JsonSchema[];
  readonly #root: JsonSchema;

  constructor(schemas: readonly JsonSchema[], root: JsonSchema) {
    this.#root = root;
    this.#schemas = schemas.flatMap((schema) => this.#alternatives(schema, 4));
  }

  get description(): string | undefined {
    for (const { description } of this.#schemas) {
      if (typeof description === "string") return description;
    }
    return undefined;
  }

  field(name: string): FieldNotes | undefined {
    const found: JsonSchema[] = [];
    for (const schema of this.#schemas) {
      const inner = fieldOf(schema, name);
      if (inner !== undefined) found.push(inner);
    }
    return found.length === 0 ? undefined : new SchemaNotes(found, this.#root);
  }

  /** The schema itself, what it refers to, and what it is a choice or a join of. */
  #alternatives(schema: JsonSchema, depth: number): JsonSchema[] {
    if (depth === 0) return [schema];
    const all = [schema];
    const target = this.#referred(schema["$ref"]);
    if (target !== undefined) all.push(...this.#alternatives(target, depth - 1));
    for (const key of ["anyOf", "oneOf", "allOf"]) {
      const list: unknown = schema[key];
      if (!Array.isArray(list)) continue;
      for (const inner of list) {
        if (isJsonSchema(inner)) all.push(...this.#alternatives(inner, depth - 1));
      }
    }
    return all;
  }

  #referred(ref: unknown): JsonSchema | undefined {
    if (typeof ref !== "string" || !ref.startsWith("#")) return undefined;
    let at: unknown = this.#root;
    for (const step of ref.split("/").slice(1)) {
      if (!isJsonSchema(at)) return undefined;
      at = at[step];
    }
    return isJsonSchema(at) ? at : undefined;
  }
}

function fieldOf(schema: JsonSchema, name: string): JsonSchema | undefined {
  const { properties, additionalProperties, items, prefixItems } = schema;
  if (isJsonSchema(properties) && Object.hasOwn(properties, name)) {
    const property = properties[name];
    if (isJsonSchema(property)) return property;
  }
  const place: unknown = Array.isArray(prefixItems) ? prefixItems[Number(name)] : undefined;
  if (isJsonSchema(place)) return place;
  if (isJsonSchema(items) && /^\d+$/u.test(name)) return items;
  return isJsonSchema(additionalProperties) ? additionalProperties : undefined;
}
