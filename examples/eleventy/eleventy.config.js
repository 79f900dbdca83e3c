export default function (eleventy) {
  eleventy.addGlobalData("build", process.env.BUILD ?? "local");
  eleventy.addCollection("shop", (all) => all.getFilteredByGlob("pages/*.md"));
}

export const config = {
  dir: { input: "pages", includes: "../_includes", data: "../_data", output: "_site" },
};
