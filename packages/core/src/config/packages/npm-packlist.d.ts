declare module "npm-packlist" {
  interface PackTree {
    readonly path: string;
    readonly package: Readonly<Record<string, unknown>>;
    readonly isProjectRoot: boolean;
    readonly isLink?: boolean;
    readonly target?: PackTree;
    readonly edgesOut: ReadonlyMap<string, PackEdge>;
  }
  interface PackEdge {
    readonly peer: boolean;
    readonly dev: boolean;
    readonly to: PackTree | undefined;
  }
  /** Paths relative to `tree.path`, with `/`. */
  export default function packlist(tree: PackTree): Promise<string[]>;
}
