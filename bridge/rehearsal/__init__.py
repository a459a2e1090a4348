"""The rehearsal: a strict telephone company and a strict AI on loopback, speaking the real protocols.

The bridge treats them exactly as it treats Twilio and OpenAI; the tests use them too, and the
benchmark as its load. `carrier` is the telephone company, `model` the AI, `scenario` what is said.
"""
