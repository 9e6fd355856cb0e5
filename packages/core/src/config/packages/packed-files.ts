import { stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { packageInvalid, readPackageJson } from "./package-json.ts";
import type { PackageJson } from "./package-json.ts";

/** A package as npm-packlist sees it. */
interface PackTree {
  readonly path: string;
  readonly package: PackageJson;
  readonly isProjectRoot: boolean;
  readonly isLink: boolean;
  readonly target: PackTree;
  readonly edgesOut: Map<string, { peer: boolean; dev: boolean; to: PackTree }>;
}

function strings(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === "string") : [];
}

function keys(value: unknown): string[] {
  return typeof value === "object" && value !== null ? Object.keys(value) : [];
}

function withoutDot(path: string): string {
  return path.replace(/^(?:\.?\/)+/, "");
}

/** The fields that decide what is published, in the one shape that npm-packlist understands. */
function normalize(json: PackageJson): PackageJson {
  const { bin, main, browser, files, bundleDependencies, bundledDependencies } = json;
  const bundle = bundleDependencies ?? bundledDependencies;
  const bins = typeof bin === "string" ? [bin] : strings(Object.values(bin ?? {}));
  return {
    ...(Array.isArray(files) ? { files: strings(files) } : {}),
    ...(typeof main === "string" ? { main: withoutDot(main) } : {}),
    ...(typeof browser === "string" ? { browser: withoutDot(browser) } : {}),
    bin: Object.fromEntries(bins.map((path, index) => [index, withoutDot(path)])),
    bundleDependencies: bundle === true ? keys(json["dependencies"]) : strings(bundle),
    dependencies: json["dependencies"] ?? {},
    optionalDependencies: json["optionalDependencies"] ?? {},
  };
}

/** Builds the trees of a package and of those that it bundles, each folder once. */
class TreeBuilder {
  readonly #root: string;
  readonly #trees = new Map<string, PackTree>();

  constructor(root: string) {
    this.#root = root;
  }

  async build(path: string): Promise<PackTree | undefined> {
    const known = this.#trees.get(path);
    if (known !== undefined) return known;
    const json = await readPackageJson(path);
    if (json === undefined) return undefined;
    const tree: PackTree = {
      path,
      package: normalize(json),
      isProjectRoot: path === this.#root,
      isLink: false,
      get target() {
        return tree;
      },
      edgesOut: new Map(),
    };
    this.#trees.set(path, tree);
    for (const name of this.#bundled(tree)) {
      const to = await this.#find(name, path);
      if (to !== undefined) tree.edgesOut.set(name, { peer: false, dev: false, to });
    }
    return tree;
  }

  /** A bundled package takes all of its dependencies along. */
  #bundled({ isProjectRoot, package: json }: PackTree): string[] {
    if (isProjectRoot) return strings(json["bundleDependencies"]);
    return [...keys(json["dependencies"]), ...keys(json["optionalDependencies"])];
  }

  /** From the bundling package's node_modules outwards, but never beyond the root. */
  async #find(name: string, from: string): Promise<PackTree | undefined> {
    for (let here = from; ; here = dirname(here)) {
      const path = join(here, "node_modules", name);
      const status = await stat(path).catch(() => undefined);
      if (status?.isDirectory() === true) return this.build(path);
      if (here === this.#root) return undefined;
    }
  }
}

/**
 * The files of the package in `root` that npm would publish, bundled dependencies included: paths
 * relative to it with `/`, sorted by their UTF-8 bytes. Links and special files are not among them.
 *
 * @throws VfmigError `ERR_VFMIG_PACKAGE_INVALID`
 */
export async function packedFiles(root: string): Promise<readonly string[]> {
  const tree = await new TreeBuilder(root).build(root);
  if (tree === undefined) throw packageInvalid(root, "it has no package.json");
  // Loaded here: a device process that pins nothing does not pay for it.
  const { default: packlist } = await import("npm-packlist");
  let files: readonly string[];
  try {
    files = await packlist(tree);
  } catch (cause) {
    const text = cause instanceof Error ? cause.message : String(cause);
    throw packageInvalid(root, `its files cannot be listed (${text})`, cause);
  }
  return files.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
}
