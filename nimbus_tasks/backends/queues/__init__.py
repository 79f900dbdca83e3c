"""Message queues between machines: Cloudflare Queues."""
