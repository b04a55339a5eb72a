"""Asks a cached document through OpenAI's client library over the Unix socket: SOCKET DOCUMENT QUESTION."""
import json
import sys

import httpx2
import openai

socket, document, question = sys.argv[1:]
client = openai.OpenAI(
    base_url="http://localhost/v1", api_key="unused", max_retries=0,
    http_client=openai.DefaultHttpx2Client(transport=httpx2.HTTPTransport(uds=socket)))
model = client.models.list().data[0].id
stream = client.chat.completions.create(
    model=model, messages=[{"role": "user", "content": question}], stream=True,
    stream_options={"include_usage": True}, extra_body={"document": document})
text, pieces, usage = "", 0, None
for chunk in stream:
    if chunk.choices and chunk.choices[0].delta.content:
        text += chunk.choices[0].delta.content
        pieces += 1
    usage = chunk.usage or usage
# Clients that can set nothing but a model choose the document by it.
named = client.chat.completions.create(
    model=f"caked/{document}", messages=[{"role": "user", "content": question}])
names = [one.id for one in client.models.list().data]
shown = client.models.retrieve(f"caked/{document}").id
try:
    client.chat.completions.create(
        model=model, messages=[{"role": "user", "content": question}], extra_body={"document": "nothing-here"})
    missing = None
except openai.NotFoundError as error:
    missing = error
print(json.dumps(dict(
    named=named.choices[0].message.content, names=names, shown=shown, text=text, pieces=pieces,
    cached_tokens=usage.prompt_tokens_details.cached_tokens, model=model,
    missing_document_status=missing.status_code, missing_document_code=missing.code)))
