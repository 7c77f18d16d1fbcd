"""Commands of ``jack-train`` that are not one method's."""
