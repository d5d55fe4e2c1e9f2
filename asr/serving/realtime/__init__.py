"""Live sound over a websocket, after OpenAI's Realtime transcription sessions.

client ->  session.update   input_audio_buffer.append   .commit   .clear
server ->  session.created  session.updated   input_audio_buffer.speech_started   .speech_stopped
.committed   .cleared   conversation.item.input_audio_transcription.delta   .completed   .failed
error

events -> sound -> ear: segments, and where speech begins and ends -> items -> queue of all -> answers
"""
