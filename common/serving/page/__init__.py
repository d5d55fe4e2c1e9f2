"""The page of a server in a browser: its files, and what the pages of all modalities share.

The files in `static` are sent as they are: there is no build step, and no page loads anything from elsewhere.

    base.css       colours (light and dark), layout and controls
    confidence.js  from confidences to words and classes, so that colour alone never says anything
    dom.js         elements of a page
    download.js    a text or a file becomes a download
    intake.js      files that are dropped, pasted or chosen
    key.js         the field for a key, shown when the server wants one
    messages.js    what a screen reader is told, and errors
    request.js     a request with its progress, its events, and errors as sentences
"""
