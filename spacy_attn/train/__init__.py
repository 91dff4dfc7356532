"""Training of the sense model and calibration of the methods; nothing here runs at use."""
