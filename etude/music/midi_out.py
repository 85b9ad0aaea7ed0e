def bytes_of(score): raise NotImplementedError
