"""The floor of Muster: vocabulary, seams, stores and the runtime; imports no other package."""
