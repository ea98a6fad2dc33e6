# Members of JSON objects that come twice: readers of JSON do not agree on which one counts.

cdef enum:
    MEMBERS_MAX = 64                # names that are remembered of all objects that are open
    OBJECTS_MAX = 8                 # objects within objects


def repeated_member(bytes data not None):
    """Return the name of a member that an object has twice, None where none has.

    `data` is sound JSON. Return b"" where this cannot be told at a glance: a name is escaped, or
    there are too many members or objects within each other.
    """
    cdef:
        const unsigned char* raw = <const unsigned char*> PyBytes_AS_STRING(data)
        Py_ssize_t size = PyBytes_GET_SIZE(data)
        Py_ssize_t at = 0
        Py_ssize_t start, end, length
        Py_ssize_t[MEMBERS_MAX] starts
        Py_ssize_t[MEMBERS_MAX] lengths
        int[OBJECTS_MAX] first      # of each object that is open: the place of its first name
        int depth = -1
        int count = 0
        int place
        bint escaped

    while at < size:
        if raw[at] == 34:
            at += 1
            start = at
            escaped = False
            while at < size and raw[at] != 34:
                if raw[at] == 92:
                    escaped = True
                    at += 1
                at += 1
            end = at
            at += 1
            while at < size and (raw[at] == 32 or raw[at] == 9 or raw[at] == 10 or raw[at] == 13):
                at += 1
            if depth < 0 or at >= size or raw[at] != 58:
                continue
            if escaped or count == MEMBERS_MAX:
                return b""
            length = end - start
            for place in range(first[depth], count):
                if lengths[place] == length and memcmp(&raw[starts[place]], &raw[start],
                                                       length) == 0:
                    return data[start:end]
            starts[count] = start
            lengths[count] = length
            count += 1
        elif raw[at] == 123:
            depth += 1
            if depth == OBJECTS_MAX:
                return b""
            first[depth] = count
        elif raw[at] == 125 and depth >= 0:
            count = first[depth]
            depth -= 1
        at += 1
    return None
