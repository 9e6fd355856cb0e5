import { VfmigError } from "../errors/vfmig-error.ts";

/** A package name of npm, of today's rules: lower case, at most one scope. */
const NAME = String.raw`(?:@[a-z0-9~-][a-z0-9._~-]*\/)?[a-z0-9~-][a-z0-9._~-]*`;
/** Segments of an export subpath; none is `.` or `..`. */
const SUBPATH = String.raw`(?:\/(?!\.{1,2}(?:\/|$))[A-Za-z0-9._~@+-]+)*`;

/** What {@link PackageReference.package} may be. */
export const PACKAGE_SPECIFIER: RegExp = new RegExp(`^${NAME}${SUBPATH}$`);

/** What an integrity is: the base64 of 64 bytes. */
export const INTEGRITY: RegExp = /^sha512-[A-Za-z0-9+/]{86}==$/;

/** How to name what is not a package name, judged by how it is written. */
export function specifierHint(text: string): string {
  if (/^\.{0,2}\//.test(text) || text.startsWith("file:")) {
    return "paths are not taken: install the folder with npm install <path>, then use the name in its package.json";
  }
  if (/^[a-z+]+:/.test(text)) return "URLs are not taken: install the package, then use its name";
  return 'write it as in "@vfmig/plugin-i40e" or "@vfmig/testkit/i40e-vf-model"';
}

/**
 * Splits a specifier into the package's name and the export subpath (`.` where there is none).
 * @throws VfmigError `ERR_VFMIG_PACKAGE_SPECIFIER`
 */
export function parseSpecifier(specifier: string): {
  readonly name: string;
  readonly subpath: string;
} {
  if (!PACKAGE_SPECIFIER.test(specifier)) {
    throw new VfmigError(
      "ERR_VFMIG_PACKAGE_SPECIFIER",
      `"${specifier}" is no package name; ${specifierHint(specifier)}`,
      { layer: "core", details: { specifier } },
    );
  }
  const parts = specifier.split("/");
  const name = parts.slice(0, specifier.startsWith("@") ? 2 : 1).join("/");
  const rest = specifier.slice(name.length);
  return { name, subpath: `.${rest}` };
}
