"""How well faces are recognised on a set of photographs: 1:1 verification, 1:N identification."""
