import { VfmigError } from "@vfmig/core";

/** The part of a zod schema that is used here. */
interface Schema {
  safeParse(value: unknown): {
    readonly success: boolean;
    readonly data?: unknown;
    readonly error?: { readonly issues: readonly Issue[] };
  };
}

interface Issue {
  readonly path: readonly PropertyKey[];
  readonly message: string;
}

/**
 * Checks the options of a base or scenario against its own schema.
 * @param where path in the configuration, such as `devices[0].base.options`
 * @throws VfmigError `ERR_VFMIG_HOST_OPTIONS`
 */
export function parseOptions(
  schema: Schema | undefined,
  options: unknown,
  where: string,
  owner: string,
): unknown {
  if (schema === undefined) {
    if (options === undefined) return undefined;
    throw new VfmigError(
      "ERR_VFMIG_HOST_OPTIONS",
      `${where}: "${owner}" takes no options. Remove them from the configuration.`,
      { layer: "host", details: { where, owner } },
    );
  }
  const parsed = schema.safeParse(options ?? {});
  if (parsed.success) return parsed.data;
  const issues = (parsed.error?.issues ?? []).map(
    (issue) => `${[where, ...issue.path.map(String)].join(".")}: ${issue.message}`,
  );
  throw new VfmigError(
    "ERR_VFMIG_HOST_OPTIONS",
    `The options for "${owner}" do not fit. ${issues.join("; ")}. Correct them in the configuration.`,
    { layer: "host", details: { where, owner, issues } },
  );
}
