/** ESLint for all JavaScript here. Formatting is Prettier's, and types are checked by TypeScript. */

import js from "@eslint/js";
import globals from "globals";

export default [
  {
    ignores: [
      "**/node_modules/",
      "**/.cache/",
      "**/.venv/",
      "**/vendor/",
      "examples/*/{_build,_site,site}/",
      "**/.vitepress/{cache,dist}/",
    ],
  },
  js.configs.recommended,
  {
    languageOptions: { ecmaVersion: 2024, sourceType: "module", globals: globals.node },
    linterOptions: { reportUnusedDisableDirectives: "error" },
    rules: {
      eqeqeq: "error",
      "no-unused-vars": ["error", { argsIgnorePattern: "^_" }],
      "no-var": "error",
      "object-shorthand": "error",
      "prefer-const": "error",
    },
  },
  { files: ["benchmarks/peers/judge.mjs"], languageOptions: { globals: { ...globals.node, ...globals.browser } } },
  { files: ["gulp/**/*.js"], languageOptions: { sourceType: "commonjs" } },
  { files: ["nimbus_tasks/server/web/**/*.js"], languageOptions: { globals: globals.browser } },
  {
    files: ["tests/web/*.mjs", "tests/deploy/*.mjs", "benchmarks/load/page.mjs"],
    languageOptions: { globals: { ...globals.node, ...globals.browser } },
  },
  {
    files: ["nimbus_tasks/gateway/worker/src/*.js", "tests/gateway/worker/*.js", "tests/edge/*.js"],
    languageOptions: { globals: { ...globals.serviceworker, scheduler: "readonly" } },
  },
];
