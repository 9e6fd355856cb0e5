import { z } from "zod";
import { nearestKey } from "./nearest-key.ts";

/** One fault of a configuration, a manifest or options: where, what, and how to mend it. */
export interface ConfigIssue {
  /** Such as `devices[1].driver.package`; empty for the value as a whole. */
  readonly path: string;
  readonly message: string;
  readonly hint?: string | undefined;
}

/** Writes a path as its reader would write it in code. */
export function formatPath(path: readonly PropertyKey[]): string {
  let text = "";
  for (const key of path) {
    if (typeof key === "number") text += `[${key}]`;
    else if (/^[A-Za-z_$][\w$]*$/.test(String(key)))
      text += text === "" ? String(key) : `.${String(key)}`;
    else text += `[${JSON.stringify(String(key))}]`;
  }
  return text;
}

/** The schema beneath optional, nullable and defaulting wrappers. */
function unwrap(schema: unknown): unknown {
  let inner = schema;
  while (
    inner instanceof z.ZodOptional ||
    inner instanceof z.ZodNullable ||
    inner instanceof z.ZodReadonly
  ) {
    inner = inner.unwrap();
  }
  return inner instanceof z.ZodDefault ? unwrap(inner.unwrap()) : inner;
}

/** Keys that an object at `path` may have, where the schema says so. */
function knownKeys(schema: unknown, path: readonly PropertyKey[]): readonly string[] {
  let here = unwrap(schema);
  for (const key of path) {
    if (here instanceof z.ZodObject) here = unwrap(here.shape[String(key)]);
    else if (here instanceof z.ZodArray) here = unwrap(here.element);
    else if (here instanceof z.ZodRecord) here = unwrap(here.valueType);
    else return [];
  }
  return here instanceof z.ZodObject ? Object.keys(here.shape) : [];
}

function unknownKey(
  path: readonly PropertyKey[],
  key: string,
  known: readonly string[],
): ConfigIssue {
  const near = nearestKey(key, known);
  const list = known.length > 0 ? `known here: ${known.join(", ")}` : undefined;
  return {
    path: formatPath([...path, key]),
    message: "unknown key",
    hint: near === undefined ? list : `did you mean "${near}"?`,
  };
}

/**
 * Turns what zod found into issues with paths and hints. Values are never quoted, since options may
 * hold secrets.
 */
export function describeIssues(schema: z.ZodType, error: z.ZodError): readonly ConfigIssue[] {
  return error.issues.flatMap((issue): ConfigIssue[] => {
    if (issue.code === "unrecognized_keys") {
      const known = knownKeys(schema, issue.path);
      return issue.keys.map((key) => unknownKey(issue.path, key, known));
    }
    const path = formatPath(issue.path);
    if (issue.code === "invalid_type" && issue.message.endsWith("received undefined")) {
      const expected = issue.expected === "nonoptional" ? "a value" : issue.expected;
      return [{ path, message: `missing; expected ${expected}` }];
    }
    const hint = issue.code === "custom" ? hintOf(issue.params) : undefined;
    return [{ path, message: issue.message, hint }];
  });
}

function hintOf(params: Readonly<Record<string, unknown>> | undefined): string | undefined {
  return typeof params?.["hint"] === "string" ? params["hint"] : undefined;
}

/** One line for each issue, indented. */
export function formatIssues(issues: readonly ConfigIssue[]): string {
  return issues
    .map(({ path, message, hint }) => {
      const where = path === "" ? "" : `${path}: `;
      return `  ${where}${message}${hint === undefined ? "" : ` (${hint})`}`;
    })
    .join("\n");
}
