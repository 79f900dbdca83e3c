import { defineConfig } from "vitepress";

const pages = ["watches", "clocks", "straps", "post", "about"];

export default defineConfig({
  title: "Harbour Lane Repairs",
  head: [["meta", { name: "build", content: process.env.BUILD ?? "local" }]],
  themeConfig: { sidebar: pages.map((name) => ({ text: name, link: `/${name}` })) },
});
