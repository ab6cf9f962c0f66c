"""Numbers about models: how alike two precisions answer, and where the time goes."""
