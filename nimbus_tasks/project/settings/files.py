"""Tables of `.nimbus/project.toml` about images and files: where they go, what is made of them, how they are found."""

# Without `from __future__ import annotations`: msgspec would evaluate string annotations at every start (2.5 ms).

from typing import Annotated, Literal

from msgspec import Meta, Struct

from nimbus_tasks.project.settings.values import MOST_SLOTS, MOST_WORKERS, Natural, Positive, Seconds, says

BlobStoreName = Literal["", "folder", "s3", "pinata", "server"]


class Assets(Struct, frozen=True):
    """`[assets]`: where images and files go."""

    store: Annotated[
        BlobStoreName,
        says(
            "folder: .nimbus/blobs, no account; s3: any S3-compatible service, R2 among them; pinata: IPFS; "
            "server: our own service, doit nimbus:serve; "
            '"": pages are published without their files'
        ),
    ] = ""
    include: Annotated[
        tuple[str, ...],
        says("files to upload besides those of pages: patterns as in .gitignore, relative to [source] folder"),
    ] = ()
    exclude: Annotated[tuple[str, ...], says("files that are not uploaded; same patterns")] = ()
    concurrency: Annotated[
        int,
        Meta(ge=0, le=MOST_SLOTS),
        says("maximum files uploaded at a time; 0: 3 for pinata and server, else 16"),
    ] = 0
    bucket: Annotated[str, says("S3: name of the bucket")] = ""
    prefix: Annotated[str, says("S3: what each key begins with, such as site/")] = ""
    endpoint: Annotated[str, says("S3: address of the service; AWS_ENDPOINT_URL_S3 wins over it")] = ""
    region: Annotated[str, says("S3: region of the bucket; AWS_REGION wins over it")] = "auto"
    public_url: Annotated[str, says("address from which readers get the files, such as https://img.example.com")] = ""
    plan: Annotated[
        Literal["free", "picnic", "fiesta"], says("Pinata: the plan, which limits the requests a minute")
    ] = "free"
    service_url: Annotated[
        str, says("server: address of the service; NIMBUS_SERVICE_URL wins over it, the key is NIMBUS_SERVICE_KEY")
    ] = ""
    group_id: Annotated[str, says("Pinata: id of the group that files join; PINATA_GROUP_ID wins over it")] = ""
    compress: Annotated[
        Literal["", "webp", "avif", "lossless"],
        says(
            "pictures are sent as a copy where that is smaller; the files here stay. webp, avif: JPEG and PNG, at "
            '[images] quality; lossless: PNG as WebP with the same pixels; "": as they are'
        ),
    ] = ""
    widths: Annotated[
        tuple[Annotated[int, Meta(ge=1, le=16_383)], ...],
        says("narrower copies of each picture are sent with it, but to server: pixels, such as [480, 960, 1600]"),
    ] = ()
    webhook: Annotated[
        str,
        says("address that gets a signed request about uploads; the secret is read from NIMBUS_WEBHOOK_SECRET"),
    ] = ""
    metrics: Annotated[
        str, says("file that gets the numbers of each upload of files, as Prometheus's text format has them (.prom)")
    ] = ""


class Images(Struct, frozen=True):
    """`[images]`: what the service and [assets] compress and widths make of a picture, and what it may take."""

    max_side: Annotated[int, Meta(ge=16, le=16_384), says("maximum width and height of the main picture")] = 2048
    thumbnail: Annotated[int, Meta(ge=16, le=1024), says("maximum width and height of the thumbnail")] = 256
    quality: Annotated[int, Meta(ge=1, le=100), says("quality of JPEG and WebP; AVIF gets five eighths of it")] = 82
    svg: Annotated[
        Literal["sanitise", "refuse"],
        says("sanitise: SVG loses scripts, handlers and references to other files; refuse: SVG is an error"),
    ] = "sanitise"
    max_megapixels: Annotated[
        Positive, says("maximum millions of pixels, of all frames together; larger pictures are an error")
    ] = 200
    max_megabytes: Annotated[Positive, says("maximum size of a file; larger ones are an error")] = 256
    memory: Annotated[
        int, Meta(ge=512), says("MiB of address space of each process; pictures that take more are an error")
    ] = 1536
    cpu_seconds: Annotated[Seconds, says("processor time for one picture; pictures that take more are an error")] = 60.0
    timeout: Annotated[Seconds, says("seconds for one picture; it is tried again later")] = 300.0
    processes: Annotated[
        int, Meta(ge=0, le=MOST_WORKERS), says("pictures at a time, each in a process; 0: one for each core")
    ] = 0


class Embeddings(Struct, frozen=True):
    """`[embeddings]`: the vectors by which the service finds similar pictures."""

    provider: Annotated[
        Literal["descriptor", "onnx", "replicate", "openai"],
        says(
            "descriptor: colours and shapes, no model; onnx: a model file; replicate: a model there; "
            "openai: texts about the picture, not the picture"
        ),
    ] = "descriptor"
    model: Annotated[
        str,
        says("onnx: path of the model file; replicate: owner/name or owner/name:version; openai: name of the model"),
    ] = ""
    base_url: Annotated[str, says("URL of the API; unset: the provider's own")] = ""
    dimensions: Annotated[
        Natural, says("openai: length of the vectors, where the model lets one choose; 0: its own")
    ] = 0
    input: Annotated[str, says("replicate: name of the model's input for the picture")] = "image"
    mean: Annotated[
        tuple[float, ...],
        Meta(min_length=3, max_length=3),
        says("onnx: mean of red, green and blue that the model was trained with"),
    ] = (0.485, 0.456, 0.406)
    deviation: Annotated[
        tuple[float, ...],
        Meta(min_length=3, max_length=3),
        says("onnx: standard deviation of red, green and blue, as mean"),
    ] = (0.229, 0.224, 0.225)
    rate: Annotated[Positive, says("embeddings a minute, of all workers together; not for descriptor and onnx")] = 5
    timeout: Annotated[Seconds, says("seconds for one embedding; it is tried again later")] = 120.0
    index: Annotated[
        Literal["scan", "usearch"],
        says("scan: exact, compares with all vectors; usearch: approximate, for millions (extra usearch)"),
    ] = "scan"
