"""The certificate: whether bars fix an indicator's value, whatever came before them. Pure."""
