"""Holds a conversation about a cached document through OpenAI's client library: SOCKET DOCUMENT QUESTION…"""
import json
import sys

import httpx2
import openai

socket, document, *questions = sys.argv[1:]
client = openai.OpenAI(
    base_url="http://localhost/v1", api_key="unused", max_retries=0,
    http_client=openai.DefaultHttpx2Client(transport=httpx2.HTTPTransport(uds=socket)))
messages, turns = [], []
for number, question in enumerate(questions):
    messages.append({"role": "user", "content": question})
    if number % 2:
        answer = client.chat.completions.create(model=f"caked/{document}", messages=messages)
        text, usage = answer.choices[0].message.content, answer.usage
    else:
        text, usage = "", None
        for chunk in client.chat.completions.create(
                model=f"caked/{document}", messages=messages, stream=True, stream_options={"include_usage": True}):
            if chunk.choices and chunk.choices[0].delta.content:
                text += chunk.choices[0].delta.content
            usage = chunk.usage or usage
    messages.append({"role": "assistant", "content": text})
    turns.append(dict(
        text=text, prompt=usage.prompt_tokens, completion=usage.completion_tokens,
        cached=usage.prompt_tokens_details.cached_tokens))
print(json.dumps(turns))
