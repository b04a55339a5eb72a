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
# The sampling fields as the library sends and reads them.
drawn = client.chat.completions.create(
    model=f"caked/{document}", messages=messages[:1], n=2, temperature=0, seed=7, max_tokens=8, logprobs=True,
    top_logprobs=3, presence_penalty=0.5, frequency_penalty=-0.5, logit_bias={"0": -100})
choices = [
    dict(index=choice.index, text=choice.message.content, tokens="".join(one.token for one in choice.logprobs.content),
         tops=[len(one.top_logprobs) for one in choice.logprobs.content]) for choice in drawn.choices]
plain = client.completions.create(
    model=f"caked/{document}", prompt="The code is", max_tokens=8, logprobs=2, stream=True)
offsets, tokens, text = [], "", ""
for chunk in plain:
    text += chunk.choices[0].text
    if chunk.choices[0].logprobs:
        offsets += chunk.choices[0].logprobs.text_offset
        tokens += "".join(chunk.choices[0].logprobs.tokens)
print(json.dumps(dict(turns=turns, choices=choices, offsets=offsets, tokens=tokens, text=text)))
