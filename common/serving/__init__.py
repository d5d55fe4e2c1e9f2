"""A recognizer behind HTTP: one queue of work for all requests, and the application around it.

    request -> gate -> upload -> source -> segments -+
    request -> gate -> upload -> source -> segments -+-> queue -> batches -> network -> search -> passages
    request -> gate -> upload -> source -> segments -+

`gate` refuses and answers, `uploads` receives, `service` turns a source into passages, and `queue` computes.
`reading` has the threads that read files, and `connections` what stays open after a request: websockets.
Which addresses there are, and what they answer, is the modality's (`Modality.serving`). Only the verb `serve`
imports this package.
"""
