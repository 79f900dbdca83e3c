// A gateway as people write it by hand: one key a request, nothing else. What the classic protocol promises, not more.
export default {
  async fetch(request, env) {
    const { pathname } = new URL(request.url);
    if (request.headers.get("authorization") !== `Bearer ${env.NIMBUS_ADMIN_SECRET}`) {
      return new Response("Unauthorized", { status: 401 });
    }
    if (pathname === "/all-for-tests") {
      return Response.json(await all(env.NIMBUS_KV));
    }
    if (!pathname.startsWith("/kv/")) {
      return new Response("Not found", { status: 404 });
    }
    const key = decodeURIComponent(pathname.slice("/kv/".length));
    if (request.method === "PUT") {
      const { value, options } = await request.json();
      await env.NIMBUS_KV.put(key, value, options);
      return Response.json({ success: true });
    }
    const value = await env.NIMBUS_KV.get(key);
    return value === null ? new Response("Not found", { status: 404 }) : new Response(value);
  },
};

// Everything that the namespace holds, at most a thousand pairs. No gateway of the classic protocol has this.
async function all(kv) {
  const { keys } = await kv.list();
  return Promise.all(keys.map(async ({ name, metadata }) => ({ name, metadata, value: await kv.get(name) })));
}
