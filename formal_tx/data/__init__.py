"""Text in, token ids on disk, batches out.

`corpus` is text to train on with nothing to download; `reading` reads other files. `tokenizer` turns text into token
ids and back; `token_writing` and `token_file` keep them on disk. `windows` and `buckets` are the batches of training,
`batches` is for small data in memory.
"""
