import { readFile, readdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseSync } from "vite";

export const ROOT: string = fileURLToPath(new URL("../..", import.meta.url));

export interface Manifest {
  readonly name: string;
  readonly exports?: Readonly<Record<string, unknown>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
}

export interface SourceFile {
  /** Relative to the workspace's root. */
  readonly path: string;
  readonly text: string;
  /** Test, test helper or benchmark: never published, may use development dependencies. */
  readonly development: boolean;
}

export interface WorkspacePackage {
  /** Folder name under packages. */
  readonly room: string;
  readonly manifest: Manifest;
  readonly sources: readonly SourceFile[];
}

function isForTests(name: string): boolean {
  return /\.test(-d)?\.ts$/.test(name) || name.split("/").includes("testing");
}

async function readSources(room: string): Promise<SourceFile[]> {
  const files: SourceFile[] = [];
  for (const folder of ["src", "bench"]) {
    const base = join("packages", room, folder);
    const names = await readdir(join(ROOT, base), { recursive: true }).catch(() => []);
    for (const name of names.filter((file) => /\.tsx?$/.test(file)).toSorted()) {
      const path = join(base, name);
      const development = folder === "bench" || isForTests(name);
      files.push({ path, text: await readFile(join(ROOT, path), "utf8"), development });
    }
  }
  return files;
}

/** Every package of packages/ that has a package.json. */
export async function readWorkspace(): Promise<readonly WorkspacePackage[]> {
  const rooms = await readdir(join(ROOT, "packages"));
  const found: WorkspacePackage[] = [];
  for (const room of rooms.toSorted()) {
    const json = await readFile(join(ROOT, "packages", room, "package.json"), "utf8").catch(
      () => "",
    );
    if (json === "") continue;
    const manifest: Manifest = JSON.parse(json);
    found.push({ room, manifest, sources: await readSources(room) });
  }
  return found;
}

function isNode(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}

/** The text of a literal; undefined for anything else. */
function literal(node: unknown): string | undefined {
  if (!isNode(node)) return undefined;
  return node["type"] === "Literal" && typeof node["value"] === "string"
    ? node["value"]
    : undefined;
}

/** True for `require(...)`, `require.resolve(...)`, `createRequire(...)(...)`. */
function isRequire(callee: unknown): boolean {
  if (!isNode(callee)) return false;
  if (callee["type"] === "Identifier") return callee["name"] === "require";
  if (callee["type"] === "MemberExpression") return isRequire(callee["object"]);
  if (callee["type"] !== "CallExpression" || !isNode(callee["callee"])) return false;
  return callee["callee"]["name"] === "createRequire";
}

function specifierOf(node: Readonly<Record<string, unknown>>): string | undefined {
  switch (node["type"]) {
    case "ImportDeclaration":
    case "ExportNamedDeclaration":
    case "ExportAllDeclaration":
    case "ImportExpression":
    case "TSImportType":
      return literal(node["source"]);
    case "TSExternalModuleReference":
      return literal(node["expression"]);
    case "CallExpression":
      return isRequire(node["callee"]) && Array.isArray(node["arguments"])
        ? literal(node["arguments"][0])
        : undefined;
    default:
      return undefined;
  }
}

function collect(value: unknown, found: Set<string>): void {
  if (Array.isArray(value)) {
    for (const item of value) collect(item, found);
  } else if (isNode(value)) {
    const specifier = specifierOf(value);
    if (specifier !== undefined) found.add(specifier);
    for (const inner of Object.values(value)) collect(inner, found);
  }
}

/** What a file imports, types and lazy imports included, as written. */
export function importsOf(file: SourceFile): ReadonlySet<string> {
  const { program, errors } = parseSync(file.path, file.text);
  if (errors.length > 0) throw new Error(`${file.path}: ${errors[0]?.message}`);
  const found = new Set<string>();
  collect(program.body, found);
  return found;
}

/** The package that a specifier belongs to; undefined for relative ones and for Node's own. */
export function packageOf(specifier: string): string | undefined {
  if (specifier.startsWith(".") || specifier.startsWith("node:")) return undefined;
  return specifier
    .split("/")
    .slice(0, specifier.startsWith("@") ? 2 : 1)
    .join("/");
}
