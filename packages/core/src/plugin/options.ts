import type { z } from "zod";
import { describeIssues, formatIssues } from "../config/issues.ts";
import { VfmigError } from "../errors/vfmig-error.ts";

/** A sub-driver, base or scenario, as far as its options go. */
export interface OptionsOwner<Options = unknown> {
  readonly name: string;
  readonly options?: z.ZodType<Options> | undefined;
}

/**
 * Checks the options of the configuration against the schema of the package that they are for, and
 * gives the parsed ones (defaults filled in). Options that are absent are checked as `{}`.
 *
 * @param where Path in the configuration for the message, such as `devices[0].driver.options`.
 * @throws VfmigError `ERR_VFMIG_PLUGIN_OPTIONS_UNDECLARED`, `ERR_VFMIG_PLUGIN_OPTIONS_INVALID`
 */
export function parseOptions<Options>(
  owner: OptionsOwner<Options>,
  options: unknown,
  where: string = "options",
): Options | undefined {
  const schema = owner.options;
  if (schema === undefined) {
    if (options === undefined) return undefined;
    throw new VfmigError(
      "ERR_VFMIG_PLUGIN_OPTIONS_UNDECLARED",
      `${where}: "${owner.name}" takes no options; remove them, or check that the right package is named`,
      { layer: "core", details: { name: owner.name, where } },
    );
  }
  const result = schema.safeParse(options ?? {});
  if (result.success) return result.data;
  const issues = describeIssues(schema, result.error).map((issue) => ({
    ...issue,
    path: joinPath(where, issue.path),
  }));
  throw new VfmigError(
    "ERR_VFMIG_PLUGIN_OPTIONS_INVALID",
    `the options of "${owner.name}" are not valid:\n${formatIssues(issues)}`,
    { layer: "core", details: { name: owner.name, where, issues } },
  );
}

function joinPath(where: string, path: string): string {
  if (path === "") return where;
  return path.startsWith("[") ? `${where}${path}` : `${where}.${path}`;
}
