"""The forms a body may have: JSON, a bare image, multipart/form-data and msgpack.

``reading`` picks the form by its content type; ``json_form``, ``image_form``, ``multipart_form``
and ``msgpack_form`` make values of bytes, each within limits; ``assembly`` puts the parts of a
multipart body where the request has its images; ``cross_site`` keeps pages of other origins out.
The schemas decide what the values may be, in every form alike. Must not know what is done with a
request.
"""
